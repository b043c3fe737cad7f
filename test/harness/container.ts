// A container and its processes under containerd's API: made, started, fed, read, awaited and deleted step by step, in
// the order a client does it, with every answer at hand.

import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import type * as tasks from "../../src/api/daemon/tasks.ts";
import { Status } from "../../src/api/daemon/process.ts";
import type { ContainerdApi } from "./containerd-api.ts";
import { FifoReader, FifoWriter, makeFifos, type Reading } from "./fifo.ts";
import { type OciProcess, type OciSpec, ociProcess, ociSpec } from "./oci-spec.ts";
import { runtimeName } from "./repository.ts";
import type { Scene } from "./scene.ts";
import { within } from "./until.ts";

const SPEC_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/Spec";
const PROCESS_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/Process";
const WAIT_MS = 30_000;

export interface IoOptions {
  readonly terminal?: boolean;
  /** A FIFO for stdin; none otherwise. */
  readonly stdin?: boolean;
  /** "text" keeps the output, "pattern" checks it as it comes, "null" asks for none. */
  readonly output?: "text" | "pattern" | "null" | "unread";
  readonly reading?: Reading;
  /** URIs or paths that replace the harness's own. */
  readonly stdoutUri?: string;
  readonly stderrUri?: string;
}

export interface RawMount {
  readonly type: string;
  readonly source: string;
  readonly options: string[];
}

export interface ContainerOptions extends IoOptions {
  readonly args: readonly string[];
  readonly name?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Mounts of the root file system, which the shim performs; the scene's own folder is used directly otherwise. */
  readonly rootfs?: readonly RawMount[];
  readonly changeSpec?: (spec: OciSpec) => void;
  /** The runtime under test when it is not given. */
  readonly runtime?: string;
  readonly taskOptions?: { typeUrl: string; value: Uint8Array };
  /** Descriptor of a checkpoint to restore. */
  readonly checkpoint?: tasks.CreateTaskRequest["checkpoint"];
}

export interface ExitSeen {
  readonly status: number;
  /** Nanoseconds since 1970; 0n when the daemon sent none. */
  readonly atNs: bigint;
}

interface StdioPaths {
  stdin: string;
  stdout: string;
  stderr: string;
}

/** An init or an exec. */
export class TestProcess {
  readonly containerId: string;
  /** "" for init. */
  readonly execId: string;
  readonly paths: StdioPaths;
  readonly stdin: FifoWriter;
  readonly stdout: FifoReader | undefined;
  readonly stderr: FifoReader | undefined;
  pid = 0;
  readonly #api: ContainerdApi;
  readonly #fifos: string[];

  constructor(scene: Scene, containerId: string, execId: string, io: IoOptions) {
    this.#api = scene.api;
    this.containerId = containerId;
    this.execId = execId;
    const base = join(scene.fifoDir, execId === "" ? containerId : `${containerId}.${execId}`);
    const fifo = (name: string, wanted: boolean): string => (wanted ? `${base}.${name}` : "");
    const hasOutput = io.output !== "null";
    const own = {
      stdin: fifo("in", io.stdin === true),
      stdout: fifo("out", hasOutput && io.stdoutUri === undefined),
      stderr: fifo("err", hasOutput && io.terminal !== true && io.stderrUri === undefined),
    };
    this.#fifos = Object.values(own).filter((path) => path !== "");
    makeFifos(this.#fifos);
    const reader = (path: string): FifoReader | undefined =>
      path === "" || io.output === "unread" ? undefined : new FifoReader(path, io.output !== "pattern", io.reading);
    this.stdin = new FifoWriter(own.stdin);
    this.stdout = reader(own.stdout);
    this.stderr = reader(own.stderr);
    scene.onClose(() => this.forget());
    this.paths = {
      stdin: own.stdin,
      stdout: io.stdoutUri ?? own.stdout,
      stderr: io.terminal === true ? "" : (io.stderrUri ?? own.stderr),
    };
  }

  /** The reader of stdout. @throws Error when none was asked for. */
  get out(): FifoReader {
    if (this.stdout === undefined) throw new Error("this process's stdout is not read");
    return this.stdout;
  }

  get err(): FifoReader {
    if (this.stderr === undefined) throw new Error("this process's stderr is not read");
    return this.stderr;
  }

  async start(): Promise<number> {
    this.pid = (await this.#api.start(this.containerId, this.execId)).pid;
    return this.pid;
  }

  /** Waits for the exit and returns it. */
  async wait(deadlineMs = WAIT_MS): Promise<ExitSeen> {
    const answer = this.#api.wait(this.containerId, this.execId);
    const { exitStatus, exitedAt } = await within(`the exit of ${this.execId || this.containerId}`, deadlineMs, answer);
    return { status: exitStatus, atNs: nanoseconds(exitedAt) };
  }

  kill(signal: number, all = false): Promise<void> {
    return this.#api.kill(this.containerId, signal, this.execId, all);
  }

  /** State as containerd's Get gives it. */
  async state(): Promise<{ status: string; pid: number; exitStatus: number }> {
    const { process } = await this.#api.get(this.containerId, this.execId);
    if (process === undefined) throw new Error("Get answered without a process");
    const names = Object.entries(Status).find(([, value]) => value === process.status);
    return { status: names?.[0] ?? "?", pid: process.pid, exitStatus: process.exitStatus };
  }

  resize(columns: number, rows: number): Promise<void> {
    return this.#api.resize(this.containerId, this.execId, columns, rows);
  }

  /** Closes the client's end of stdin and tells the shim, as clients do. */
  async closeStdin(): Promise<void> {
    await this.stdin.close();
    await this.#api.closeStdin(this.containerId, this.execId);
  }

  /** Deletes the process from the shim and removes the client's FIFOs. */
  async delete(): Promise<ExitSeen> {
    const answer =
      this.execId === ""
        ? await this.#api.deleteTask(this.containerId)
        : await this.#api.deleteProcess(this.containerId, this.execId);
    this.forget();
    return { status: answer.exitStatus, atNs: nanoseconds(answer.exitedAt) };
  }

  /** Closes and removes the client's FIFOs only. */
  forget(): void {
    this.stdout?.close();
    this.stderr?.close();
    void this.stdin.close();
    for (const path of this.#fifos) rmSync(path, { force: true });
  }
}

export class TestContainer {
  readonly id: string;
  readonly init: TestProcess;
  readonly #scene: Scene;
  #execs = 0;

  private constructor(scene: Scene, id: string, init: TestProcess) {
    this.#scene = scene;
    this.id = id;
    this.init = init;
  }

  /** Makes the container's record alone, and its streams: there is no task. */
  static async prepare(scene: Scene, options: ContainerOptions): Promise<TestContainer> {
    const id = scene.newId(options.name ?? "c");
    const process = ociProcess(options.args, options.terminal === true);
    const spec = ociSpec(scene, id, options.rootfs === undefined ? scene.rootfs : "rootfs", process);
    Object.assign(spec.annotations, options.annotations);
    options.changeSpec?.(spec);
    await scene.api.createContainer({
      id,
      labels: {},
      image: "",
      runtime: { name: options.runtime ?? runtimeName, options: undefined },
      spec: json(SPEC_TYPE, spec),
      snapshotter: "",
      snapshotKey: "",
      createdAt: undefined,
      updatedAt: undefined,
      extensions: {},
      sandbox: "",
    });
    return new TestContainer(scene, id, new TestProcess(scene, id, "", options));
  }

  /** Makes the container's record and its task; nothing runs yet. @throws what Create answers, after cleaning up. */
  static async create(scene: Scene, options: ContainerOptions): Promise<TestContainer> {
    const container = await TestContainer.prepare(scene, options);
    try {
      await container.createTask(options);
      return container;
    } catch (cause) {
      container.init.forget();
      await scene.api.deleteContainer(container.id);
      throw cause;
    }
  }

  /** Makes a new task for this container, whose former one has been deleted: from a checkpoint, or afresh. */
  async recreate(options: ContainerOptions): Promise<TestContainer> {
    const again = new TestContainer(this.#scene, this.id, new TestProcess(this.#scene, this.id, "", options));
    try {
      await again.createTask(options);
      return again;
    } catch (cause) {
      again.init.forget();
      throw cause;
    }
  }

  /** Makes the task; nothing runs yet. */
  async createTask(options: ContainerOptions): Promise<void> {
    const answer = await this.#scene.api.createTask({
      containerId: this.id,
      rootfs: (options.rootfs ?? []).map((mount) => ({ ...mount, target: "" })),
      ...this.init.paths,
      terminal: options.terminal === true,
      checkpoint: options.checkpoint,
      options: options.taskOptions,
      runtimePath: "",
      taskApiAddress: "",
      taskApiVersion: 0,
    });
    this.init.pid = answer.pid;
  }

  /** As create, and started. */
  static async run(scene: Scene, options: ContainerOptions): Promise<TestContainer> {
    const container = await TestContainer.create(scene, options);
    try {
      await container.init.start();
    } catch (cause) {
      await container.remove().catch(() => undefined);
      throw cause;
    }
    return container;
  }

  /** An exec's streams alone: the daemon does not know of it yet. */
  prepareExec(io: IoOptions = {}): TestProcess {
    return new TestProcess(this.#scene, this.id, `e${this.#execs++}`, io);
  }

  /** Adds an exec; it is not started. */
  async addExec(args: readonly string[], io: IoOptions = {}, change?: (process: OciProcess) => void) {
    const process = this.prepareExec(io);
    const spec = ociProcess(args, io.terminal === true);
    change?.(spec);
    try {
      await this.requestExec(process, spec);
    } catch (cause) {
      process.forget();
      throw cause;
    }
    return process;
  }

  /** Adds an exec whose streams are there already. */
  async requestExec(process: TestProcess, spec: OciProcess): Promise<void> {
    const { execId, paths } = process;
    const { terminal } = spec;
    await this.#scene.api.exec({ containerId: this.id, execId, terminal, ...paths, spec: json(PROCESS_TYPE, spec) });
  }

  /** Adds an exec and starts it. */
  async exec(args: readonly string[], io: IoOptions = {}): Promise<TestProcess> {
    const process = await this.addExec(args, io);
    await process.start();
    return process;
  }

  /** Runs an exec to its end: its status and output, everything of it deleted. */
  async execToEnd(
    args: readonly string[],
    io: IoOptions = {},
  ): Promise<{ status: number; stdout: string; stderr: string }> {
    const process = await this.exec(args, io);
    const { status } = await process.wait();
    const stdout = (await process.stdout?.allText()) ?? "";
    const stderr = (await process.stderr?.allText()) ?? "";
    await process.delete();
    return { status, stdout, stderr };
  }

  /** Waits for the end of init, deletes the task and the container; returns what Delete said. */
  async end(deadlineMs = WAIT_MS): Promise<ExitSeen> {
    await this.init.wait(deadlineMs);
    return await this.delete();
  }

  /** Deletes the task, which must have ended, and the container. */
  async delete(): Promise<ExitSeen> {
    const exit = await this.init.delete();
    await this.#scene.api.deleteContainer(this.id);
    return exit;
  }

  /** Ends whatever runs and removes everything of the container. */
  async remove(): Promise<void> {
    await this.init.kill(9).catch(() => undefined);
    await this.init.wait().catch(() => undefined);
    await this.delete();
  }

  /** The bundle containerd made for it. */
  get bundle(): string {
    return join(this.#scene.daemon.stateDir, "io.containerd.runtime.v2.task", this.#scene.namespace, this.id);
  }

  get bundleExists(): boolean {
    return existsSync(this.bundle);
  }
}

function json(typeUrl: string, value: object): { typeUrl: string; value: Uint8Array } {
  return { typeUrl, value: new TextEncoder().encode(JSON.stringify(value)) };
}

function nanoseconds(time: { seconds: bigint; nanos: number } | undefined): bigint {
  return time === undefined ? 0n : time.seconds * 1_000_000_000n + BigInt(time.nanos);
}
