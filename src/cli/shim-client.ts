// A shim's Task service as moor uses it: one connection, a deadline on every request but Wait, errors that name the
// request. With control-client.ts the only files of the command line that speak ttrpc.

import { type Client, type Codec, protoCodec } from "ttrpc";
import { connect } from "ttrpc/node";
import { Empty } from "../api/google/protobuf/empty.ts";
import type { Any } from "../api/google/protobuf/any.ts";
import type { ProcessInfo } from "../api/process.ts";
import * as task from "../api/task.ts";
import { CliError, errnoOf, textOf } from "./cli-error.ts";
import { ControlClient } from "./control-client.ts";
import { instantOf } from "./instant.ts";

const service = "containerd.task.v2.Task";
/** The runtime's work in Create, Start, Delete and Kill, which the shim itself bounds. */
const runtimeTimeoutMs = 120_000;

const nothing = protoCodec(Empty);

export interface ExitInfo {
  /** 0 to 255; 128 + N when signal N ended it. */
  readonly exitStatus: number;
  /** RFC 3339, or "" when the shim does not know. */
  readonly exitedAt: string;
}

/** A process that somebody is attached to, whichever service its shim is asked by. */
export interface SessionProcess {
  /** Resolves when it has ended. @throws when the shim is lost. */
  wait(): Promise<ExitInfo>;
  kill(signal: number): Promise<void>;
  resize(columns: number, rows: number): Promise<void>;
  /** No more input will come. */
  closeInput(): Promise<void>;
}

export interface CreateRequest {
  readonly id: string;
  readonly bundle: string;
  readonly terminal: boolean;
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly options: Any | undefined;
}

export class ShimClient {
  readonly #connection: Client;
  readonly #timeoutMs: number;

  private constructor(connection: Client, timeoutMs: number) {
    this.#connection = connection;
    this.#timeoutMs = timeoutMs;
  }

  static async connect(address: string, timeoutMs: number): Promise<ShimClient> {
    const path = address.startsWith("unix://") ? address.slice("unix://".length) : address;
    try {
      return new ShimClient(await connect(path), timeoutMs);
    } catch (thrown) {
      throw new CliError(`reach the shim at ${path}: ${errnoOf(thrown) ?? textOf(thrown)}`, "failure", thrown);
    }
  }

  close(): void {
    this.#connection.close();
  }

  /** Resolves when the connection is gone: closed by us, or with the shim. */
  get closed(): Promise<void> {
    return this.#connection.closed;
  }

  async create(request: CreateRequest): Promise<number> {
    const message = { ...request, rootfs: [], checkpoint: "", parentCheckpoint: "" };
    const answer = await this.#call(
      "Create",
      protoCodec(task.CreateTaskRequest),
      protoCodec(task.CreateTaskResponse),
      message,
      runtimeTimeoutMs,
    );
    return answer.pid;
  }

  async start(id: string, execId = ""): Promise<number> {
    const message = { id, execId };
    return (
      await this.#call(
        "Start",
        protoCodec(task.StartRequest),
        protoCodec(task.StartResponse),
        message,
        runtimeTimeoutMs,
      )
    ).pid;
  }

  state(id: string): Promise<task.StateResponse> {
    return this.#call("State", protoCodec(task.StateRequest), protoCodec(task.StateResponse), { id, execId: "" });
  }

  /** The shim's own pid. */
  async shimPid(id: string): Promise<number> {
    return (await this.#call("Connect", protoCodec(task.ConnectRequest), protoCodec(task.ConnectResponse), { id }))
      .shimPid;
  }

  /** Adds an exec by the Task API; it is not started yet. */
  async addExec(request: Omit<task.ExecProcessRequest, "spec">, spec: Uint8Array): Promise<void> {
    const typeUrl = "types.containerd.io/opencontainers/runtime-spec/1/Process";
    await this.#call("Exec", protoCodec(task.ExecProcessRequest), nothing, {
      ...request,
      spec: { typeUrl, value: spec },
    });
  }

  /** The control service of the same shim, on the same connection. */
  get control(): ControlClient {
    return new ControlClient(this.#connection, this.#timeoutMs);
  }

  /** One process of a container, as a session needs it. */
  process(id: string, execId = ""): SessionProcess {
    return {
      wait: () => this.wait(id, execId),
      kill: (signal) => this.kill(id, signal, false, execId),
      resize: (columns, rows) => this.resize(id, columns, rows, execId),
      closeInput: () => this.closeInput(id, execId),
    };
  }

  /** Resolves when the container's init, or the exec, has ended, however long that takes. */
  async wait(id: string, execId = ""): Promise<ExitInfo> {
    const exit = await this.#call(
      "Wait",
      protoCodec(task.WaitRequest),
      protoCodec(task.WaitResponse),
      { id, execId },
      0,
    );
    return { exitStatus: exit.exitStatus, exitedAt: instantOf(exit.exitedAt) };
  }

  async kill(id: string, signal: number, all: boolean, execId = ""): Promise<void> {
    await this.#call("Kill", protoCodec(task.KillRequest), nothing, { id, execId, signal, all }, runtimeTimeoutMs);
  }

  async pause(id: string): Promise<void> {
    await this.#call("Pause", protoCodec(task.PauseRequest), nothing, { id }, runtimeTimeoutMs);
  }

  async resume(id: string): Promise<void> {
    await this.#call("Resume", protoCodec(task.ResumeRequest), nothing, { id }, runtimeTimeoutMs);
  }

  /** Every process of the container, as the runtime or its cgroup tells. */
  async pids(id: string): Promise<ProcessInfo[]> {
    return (await this.#call("Pids", protoCodec(task.PidsRequest), protoCodec(task.PidsResponse), { id })).processes;
  }

  /** Figures of the container's cgroup: an Any of the Metrics of cgroups v1 or v2. */
  async stats(id: string): Promise<Any | undefined> {
    return (await this.#call("Stats", protoCodec(task.StatsRequest), protoCodec(task.StatsResponse), { id })).stats;
  }

  async resize(id: string, columns: number, rows: number, execId = ""): Promise<void> {
    await this.#call("ResizePty", protoCodec(task.ResizePtyRequest), nothing, {
      id,
      execId,
      width: columns,
      height: rows,
    });
  }

  /** No more input will come. */
  async closeInput(id: string, execId = ""): Promise<void> {
    await this.#call("CloseIO", protoCodec(task.CloseIORequest), nothing, { id, execId, stdin: true });
  }

  async delete(id: string, execId = ""): Promise<ExitInfo> {
    const message = { id, execId };
    const exit = await this.#call(
      "Delete",
      protoCodec(task.DeleteRequest),
      protoCodec(task.DeleteResponse),
      message,
      runtimeTimeoutMs,
    );
    return { exitStatus: exit.exitStatus, exitedAt: instantOf(exit.exitedAt) };
  }

  /** Tells the shim to leave if it has no other container. */
  async shutdown(id: string): Promise<void> {
    await this.#call("Shutdown", protoCodec(task.ShutdownRequest), nothing, { id, now: false });
  }

  // A timeout of 0 is none.
  #call<Q, S>(
    method: string,
    request: Codec<Q>,
    response: Codec<S>,
    message: Q,
    timeoutMs = this.#timeoutMs,
  ): Promise<S> {
    const options = timeoutMs > 0 ? { timeoutMs } : {};
    return this.#connection.call(service, method, request, response, message, options);
  }
}
