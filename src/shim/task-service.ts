// The Task service: each of its 17 methods from request to answer, in its two forms (containerd.task.v2 and v3 differ in
// the service's name alone). It holds the containers of this shim; what can be done with one is in container.ts.

import { type CallContext, type Handler, protoCodec, type Server, unary } from "ttrpc";
import { Empty } from "../api/google/protobuf/empty.ts";
import { ProcessDetails } from "../api/runc-options.ts";
import * as api from "../api/task.ts";
import { CallGate } from "../oci/call-gate.ts";
import { decodeCheckpointOptions } from "../oci/options.ts";
import { MoorError } from "../sys/error.ts";
import { passGate } from "../sys/gates.ts";
import { isCostlyJson } from "../sys/json-cost.ts";
import type { TimerId } from "../sys/sys.d.ts";
import type { Container } from "./container.ts";
import type { Peer, ShimContext } from "./context.ts";
import { bundleKey, checkBundle, createContainer } from "./create.ts";
import { dumpContainer } from "./dump.ts";
import { checkIdentifier, shown } from "./identifier.ts";
import { statusOf } from "./client-status.ts";
import { joinMethod, joinService } from "./join.ts";
import { LeavingStreams } from "./leaving.ts";
import type { Outcome } from "./process.ts";
import { noTime, wireTime } from "./time.ts";

const serviceNames = ["containerd.task.v2.Task", "containerd.task.v3.Task"];
const processDetailsType = "containerd.runc.v1.ProcessDetails";

/** A daemon connects and sends Create as soon as it has the answer of `start`. */
const expectedWithinMs = 5_000;

export class TaskService {
  readonly context: ShimContext;
  readonly #containers = new Map<string, Container>();
  /** Ids whose Create is under way. */
  readonly #creating = new Set<string>();
  /** Those of them in whose name Shutdown was asked for. */
  readonly #givenUp = new Set<string>();
  /** Whose bundle a folder is, by the folder's own number: a path may have other names. */
  readonly #bundleOwners = new Map<string, string>();
  /** Output of deleted processes that has not reached its reader yet. */
  readonly leaving: LeavingStreams;
  /** Ids that a `start` has announced, each with the timer that ends the wait for its Create. */
  readonly #expected = new Map<string, TimerId>();
  /** A Shutdown has come that only they have put off. */
  #leavesWhenUnexpected = false;
  readonly gate: CallGate;
  #listenFdsAreFree = true;
  /** Called after each change of the numbers below. */
  onChange: (() => void) | undefined;

  constructor(context: ShimContext) {
    this.context = context;
    this.gate = new CallGate(context.sys);
    this.leaving = new LeavingStreams(context.keeper);
  }

  /** Containers that are created, or being created, and not deleted. */
  get containerCount(): number {
    return this.#containers.size + this.#creating.size;
  }

  /** Those of them whose init has not ended. */
  get livingCount(): number {
    let count = this.#creating.size;
    for (const { init } of this.#containers.values()) if (init.outcome === undefined) count++;
    return count;
  }

  /** To each init, as when the host goes down. */
  passSignal(signal: number): void {
    for (const { init } of this.#containers.values()) init.owned?.signal(signal);
  }

  /** Another `start` gives this shim's address for a container: the shim stays, for a time, until it has come. */
  expect(id: string): void {
    const { sys } = this.context;
    this.#unexpect(id);
    const timer = sys.timerStart(expectedWithinMs, () => {
      this.#unexpect(id);
      if (this.#leavesWhenUnexpected) this.#leaveIfEmpty();
    });
    this.#expected.set(id, timer);
  }

  #unexpect(id: string): void {
    const timer = this.#expected.get(id);
    if (timer !== undefined && this.#expected.delete(id)) this.context.sys.timerStop(timer);
  }

  /** Shutdown, in the name of one container. With others left it is one member of a pod that is leaving. */
  #shutdown(id: string): void {
    this.#unexpect(id);
    // A daemon that died in the middle of it, and has come back: it ends what it knows nothing of.
    if (this.#creating.has(id)) this.#givenUp.add(id);
    this.#leaveIfEmpty();
  }

  #leaveIfEmpty(): void {
    this.#leavesWhenUnexpected = this.containerCount === 0;
    if (this.#leavesWhenUnexpected && this.#expected.size === 0) this.context.leave();
  }

  /** Resolves when no output of deleted processes is on its way any more. */
  drained(): Promise<void> {
    return this.leaving.ended();
  }

  /** Plain data for the state dump. */
  dump(): Readonly<Record<string, unknown>> {
    return { creating: [...this.#creating], containers: [...this.#containers.values()].map(dumpContainer) };
  }

  register(server: Server): void {
    const methods = this.#methods();
    for (const name of serviceNames) server.add(name, methods);
    const join = unary(protoCodec(api.ConnectRequest), protoCodec(Empty), ({ id }) => {
      this.expect(id);
      return {};
    });
    server.add(joinService, { [joinMethod]: join });
  }

  #methods(): Readonly<Record<string, Handler>> {
    const empty = protoCodec(Empty);
    const nothing = (): Empty => ({});
    return {
      State: unary(protoCodec(api.StateRequest), protoCodec(api.StateResponse), (request) => this.#state(request)),
      Create: unary(protoCodec(api.CreateTaskRequest), protoCodec(api.CreateTaskResponse), (request) =>
        this.#create(request),
      ),
      Start: unary(
        protoCodec(api.StartRequest),
        protoCodec(api.StartResponse),
        naming("start", async ({ id, execId }) => ({ pid: await this.find(id).start(execId) })),
      ),
      Delete: unary(
        protoCodec(api.DeleteRequest),
        protoCodec(api.DeleteResponse),
        naming("delete", (request) => this.delete(request)),
      ),
      Pids: unary(protoCodec(api.PidsRequest), protoCodec(api.PidsResponse), ({ id }) => this.#pids(id)),
      Pause: unary(
        protoCodec(api.PauseRequest),
        empty,
        naming("pause", async ({ id }) => this.find(id).pause().then(nothing)),
      ),
      Resume: unary(
        protoCodec(api.ResumeRequest),
        empty,
        naming("resume", async ({ id }) => this.find(id).resume().then(nothing)),
      ),
      Checkpoint: unary(
        protoCodec(api.CheckpointTaskRequest),
        empty,
        naming("checkpoint", (request) => this.#checkpoint(request).then(nothing)),
      ),
      Kill: unary(
        protoCodec(api.KillRequest),
        empty,
        naming("kill", async ({ id, execId, signal, all }, { peer }) =>
          this.find(id)
            .kill(execId, signal, all, peer as Peer)
            .then(nothing),
        ),
      ),
      Exec: unary(protoCodec(api.ExecProcessRequest), empty, (request) => {
        const { execId, stdin, stdout, stderr, terminal, spec } = request;
        this.find(request.id).addExec({ execId, stdin, stdout, stderr, terminal, spec: spec?.value });
        return nothing();
      }),
      ResizePty: unary(protoCodec(api.ResizePtyRequest), empty, ({ id, execId, width, height }) => {
        this.find(id).resize(execId, width, height);
        return nothing();
      }),
      CloseIO: unary(protoCodec(api.CloseIORequest), empty, ({ id, execId, stdin }) => {
        const container = this.find(id);
        if (stdin) container.closeStdin(execId);
        else container.process(execId);
        return nothing();
      }),
      Update: unary(
        protoCodec(api.UpdateTaskRequest),
        empty,
        naming("update", (request) => this.#update(request).then(nothing)),
      ),
      Wait: unary(protoCodec(api.WaitRequest), protoCodec(api.WaitResponse), async ({ id, execId }, { cancellation }) =>
        exitFields(await this.find(id).process(execId).wait(cancellation)),
      ),
      Stats: unary(protoCodec(api.StatsRequest), protoCodec(api.StatsResponse), async ({ id }) => ({
        stats: await this.find(id).stats(),
      })),
      Connect: unary(protoCodec(api.ConnectRequest), protoCodec(api.ConnectResponse), ({ id }) => ({
        shimPid: this.context.sys.getpid(),
        taskPid: this.#containers.get(id)?.init.data.pid ?? 0,
        version: "",
      })),
      Shutdown: unary(protoCodec(api.ShutdownRequest), empty, ({ id }) => {
        this.#shutdown(id);
        return nothing();
      }),
    };
  }

  /** @throws MoorError not_found. */
  find(id: string): Container {
    const container = this.#containers.get(id);
    if (container === undefined) throw new MoorError("not_found", `there is no container ${shown(id)} in this shim`);
    return container;
  }

  add(container: Container): void {
    container.onEnded = () => this.onChange?.();
    this.#containers.set(container.id, container);
  }

  /** Of the image before. */
  goOnWith(container: Container): void {
    this.add(container);
    this.#bundleOwners.set(bundleKey(this.context.sys, container.setup.bundle), container.id);
  }

  /** The Create of an image before this one: its id is free when it has been taken back. */
  takesBack(id: string, takenBack: Promise<void>): void {
    this.#creating.add(id);
    void takenBack.finally(() => {
      this.#creating.delete(id);
      this.onChange?.();
    });
  }

  async #create(request: api.CreateTaskRequest): Promise<api.CreateTaskResponse> {
    const { id } = request;
    checkIdentifier("container id", id);
    if (this.#containers.has(id) || this.#creating.has(id)) {
      throw new MoorError("already_exists", `create container ${id}: it is there already`);
    }
    const folder = this.#takeBundle(id, request.bundle);
    this.#unexpect(id);
    this.#leavesWhenUnexpected = false;
    this.#creating.add(id);
    const listenFds = this.#listenFdsAreFree ? this.context.listenFds : [];
    this.#listenFdsAreFree = false;
    GATE: passGate(this.context.sys, "create.asked");
    try {
      const container = await createContainer(this.context, request, listenFds, this.gate);
      this.add(container);
      if (this.#givenUp.has(id)) await this.#takeBack(container);
      GATE: passGate(this.context.sys, "create.answering");
      return { pid: container.init.data.pid };
    } catch (thrown) {
      this.#bundleOwners.delete(folder);
      if (listenFds.length > 0) this.#listenFdsAreFree = true;
      throw MoorError.wrap(`create container ${id}`, thrown);
    } finally {
      this.#creating.delete(id);
      this.onChange?.();
      if (this.#givenUp.delete(id)) this.#leaveIfEmpty();
    }
  }

  /** Nobody will ask for it any more, nor delete it: it would stay, and the shim with it. */
  async #takeBack({ id }: Container): Promise<void> {
    this.context.log.warn("a container whose Create was given up meanwhile is deleted", { id });
    await this.delete({ id, execId: "" });
    throw new MoorError("unavailable", "Shutdown was asked for in its name meanwhile");
  }

  /**
   * Two containers in one bundle would overwrite each other's files, and mount over each other's root.
   * @returns the folder's key in #bundleOwners.
   * @throws MoorError when it is no folder, or another container's.
   */
  #takeBundle(id: string, bundle: string): string {
    const folder = checkBundle(this.context.sys, id, bundle);
    const owner = this.#bundleOwners.get(folder);
    const refusal = `create container ${id}: the bundle ${bundle} is container ${owner}'s`;
    if (owner !== undefined) throw new MoorError("failed_precondition", refusal);
    this.#bundleOwners.set(folder, id);
    return folder;
  }

  #state({ id, execId }: api.StateRequest): api.StateResponse {
    const container = this.find(id);
    const { data, outcome } = container.process(execId);
    const { pid, stdin, stdout, stderr, terminal } = data;
    const { exitStatus, exitedAt } = outcome === undefined || data.startFailed ? noExit : exitFields(outcome);
    return {
      id,
      bundle: container.setup.bundle,
      pid,
      status: statusOf(container.init, data),
      stdin,
      stdout,
      stderr,
      terminal,
      exitStatus,
      exitedAt,
      execId,
    };
  }

  /** @throws MoorError; nothing is deleted then. */
  async delete({ id, execId }: api.DeleteRequest): Promise<api.DeleteResponse> {
    const container = this.find(id);
    const process = container.process(execId);
    const outcome = await container.delete(execId);
    if (execId === "" && this.#containers.get(id) === container) {
      this.#containers.delete(id);
      for (const [folder, owner] of this.#bundleOwners) if (owner === id) this.#bundleOwners.delete(folder);
      container.forget();
    }
    const { stdio, data } = process;
    if (stdio !== undefined) this.leaving.follow(stdio, data, container.setup.bundle);
    this.onChange?.();
    GATE: passGate(this.context.sys, execId === "" ? "delete.answering" : "exec-delete.answering");
    return { pid: process.data.pid, ...exitFields(outcome) };
  }

  #pids(id: string): api.PidsResponse {
    const processes = this.find(id)
      .pids()
      .map(({ pid, execId }) => {
        if (execId === "") return { pid, info: undefined };
        return { pid, info: { typeUrl: processDetailsType, value: ProcessDetails.encode({ execId }).finish() } };
      });
    return { processes };
  }

  async #checkpoint({ id, path, options }: api.CheckpointTaskRequest): Promise<void> {
    const container = this.find(id);
    const decoded = decodeCheckpointOptions(options);
    if (path === "") throw new MoorError("invalid_argument", `checkpoint container ${id}: the request has no path`);
    await container.checkpoint(path, decoded);
  }

  // The request's annotations are the kubelet's, which sends them always; no runtime has a use for them.
  async #update({ id, resources }: api.UpdateTaskRequest): Promise<void> {
    const container = this.find(id);
    const what = `update container ${id}`;
    if (resources === undefined || resources.value.length === 0) {
      throw new MoorError("invalid_argument", `${what}: the request has no resources`);
    }
    const text = this.context.sys.decodeUtf8(resources.value);
    if (isCostlyJson(text)) throw new MoorError("invalid_argument", `${what}: its resources have too many values`);
    let parsed: unknown;
    try {
      parsed = JSON.parse(text);
    } catch (thrown) {
      throw new MoorError("invalid_argument", `${what}: its resources are not JSON`, { cause: thrown });
    }
    if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
      throw new MoorError("invalid_argument", `${what}: its resources are not a JSON object`);
    }
    await container.update(text);
  }
}

const noExit = { exitStatus: 0, exitedAt: noTime } as const;

function exitFields({ status, atNs }: Outcome) {
  return { exitStatus: status, exitedAt: atNs === undefined ? noTime : wireTime(atNs) };
}

/**
 * A method whose errors name what was asked of whom, also where the runtime or the kernel has said only what went wrong.
 * @param word "start".
 */
function naming<Q extends { readonly id: string; readonly execId?: string }, S>(
  word: string,
  run: (request: Q, context: CallContext) => Promise<S>,
): (request: Q, context: CallContext) => Promise<S> {
  return async (request, context) => {
    try {
      return await run(request, context);
    } catch (thrown) {
      const container = `container ${shown(request.id)}`;
      if (!(thrown instanceof MoorError) || thrown.message.includes(container)) throw thrown;
      const { execId = "" } = request;
      throw MoorError.wrap(`${word} ${execId === "" ? container : `exec ${shown(execId)} of ${container}`}`, thrown);
    }
  };
}
