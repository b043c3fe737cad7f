// A shim without a daemon: its binary started by hand in a bundle of the tests' own, and spoken to over ttrpc, for all
// that a daemon would hide: codes, exact answers, odd requests, several clients.

import { closeSync, constants, mkdirSync, openSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as api from "../../src/api/task.ts";
import { run, type CommandResult } from "./command.ts";
import type { MessageCodec } from "./containerd-api.ts";
import { FifoReader, makeFifo } from "./fifo.ts";
import { type OciSpec, ociProcess, ociSpec } from "./oci-spec.ts";
import { isAlive } from "./processes.ts";
import { RawClient } from "./raw-ttrpc.ts";
import { shimPath } from "./repository.ts";
import type { SceneNames } from "./scene-names.ts";
import { until } from "./until.ts";

const empty: MessageCodec<object> = { encode: () => ({ finish: () => new Uint8Array() }), decode: () => ({}) };

/** Request and response of each method of the Task service. */
const METHODS = {
  State: [api.StateRequest, api.StateResponse],
  Create: [api.CreateTaskRequest, api.CreateTaskResponse],
  Start: [api.StartRequest, api.StartResponse],
  Delete: [api.DeleteRequest, api.DeleteResponse],
  Pids: [api.PidsRequest, api.PidsResponse],
  Pause: [api.PauseRequest, empty],
  Resume: [api.ResumeRequest, empty],
  Checkpoint: [api.CheckpointTaskRequest, empty],
  Kill: [api.KillRequest, empty],
  Exec: [api.ExecProcessRequest, empty],
  ResizePty: [api.ResizePtyRequest, empty],
  CloseIO: [api.CloseIORequest, empty],
  Update: [api.UpdateTaskRequest, empty],
  Wait: [api.WaitRequest, api.WaitResponse],
  Stats: [api.StatsRequest, api.StatsResponse],
  Connect: [api.ConnectRequest, api.ConnectResponse],
  Shutdown: [api.ShutdownRequest, empty],
} as const;

export type Method = keyof typeof METHODS;
type Decoded<C> = C extends { decode(bytes: Uint8Array): infer T } ? T : never;
export type RequestOf<M extends Method> = Decoded<(typeof METHODS)[M][0]>;
export type ResponseOf<M extends Method> = Decoded<(typeof METHODS)[M][1]>;

export const METHOD_NAMES = Object.keys(METHODS) as Method[];
export const TASK_V2 = "containerd.task.v2.Task";
export const TASK_V3 = "containerd.task.v3.Task";

/** One call of the Task service; fields not given have their defaults. */
export async function callTask<M extends Method>(
  client: RawClient,
  method: M,
  fields: Partial<RequestOf<M>>,
  service = TASK_V2,
  deadlineMs?: number,
): Promise<ResponseOf<M>> {
  const [requestCodec, responseCodec] = METHODS[method] as unknown as [
    MessageCodec<RequestOf<M>>,
    MessageCodec<ResponseOf<M>>,
  ];
  const request = { ...requestCodec.decode(new Uint8Array()), ...fields } as RequestOf<M>;
  const answer = await client.call(service, method, requestCodec.encode(request).finish(), deadlineMs);
  return responseCodec.decode(answer);
}

/** What a bundle and its shim need of the scene, or of another stage. */
export interface ShimStage extends SceneNames {
  /** Folder of everything that is made. */
  readonly dir: string;
  readonly rootfs: string;
  readonly daemon: { readonly address: string };
  /** The shim's program; the one under test when it is not given. */
  readonly shimFile?: string;
  newId(name: string): string;
  onClose(undo: () => void): void;
}

/** A bundle as the daemon makes one: config.json, rootfs, and the log FIFO, which is read all the time. */
export class TestBundle {
  readonly id: string;
  readonly dir: string;
  readonly log: FifoReader;
  #logFd: number | undefined;

  /** @param parent folder of the bundles; the scene's own when it is not given. */
  constructor(
    scene: ShimStage,
    args: readonly string[],
    change?: (spec: OciSpec) => void,
    parent = join(scene.dir, "bundles"),
  ) {
    this.id = scene.newId("d");
    this.dir = join(parent, this.id);
    mkdirSync(join(this.dir, "rootfs"), { recursive: true });
    const spec = ociSpec(scene, this.id, scene.rootfs, ociProcess(args));
    change?.(spec);
    writeFileSync(join(this.dir, "config.json"), JSON.stringify(spec));
    const logPath = join(this.dir, "log");
    makeFifo(logPath);
    // As the daemon does: both ends are open, so that the log outlives a shim.
    this.#logFd = openSync(logPath, constants.O_RDWR | constants.O_NONBLOCK);
    this.log = new FifoReader(logPath, true);
    scene.onClose(() => this.#closeLog());
  }

  #closeLog(): void {
    this.log.close();
    if (this.#logFd !== undefined) closeSync(this.#logFd);
    this.#logFd = undefined;
  }

  remove(): void {
    this.#closeLog();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

export interface ActionOptions {
  readonly input?: Buffer;
  /** Added to the environment; undefined takes a variable away. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Another build of the shim. */
  readonly shim?: string;
  /** Finds the address in what `start` has printed, where that is not the address alone. */
  readonly readAddress?: (stdout: Buffer) => string;
}

/** Runs an action of the shim's binary in a bundle, as containerd does. */
export function shimAction(
  scene: ShimStage,
  bundle: TestBundle,
  action: readonly string[],
  options: ActionOptions = {},
): Promise<CommandResult> {
  const flags = [
    "-namespace",
    scene.namespace,
    "-address",
    scene.daemon.address,
    "-publish-binary",
    "/usr/bin/containerd",
  ];
  return run([options.shim ?? scene.shimFile ?? shimPath(), ...flags, "-id", bundle.id, ...action], {
    cwd: bundle.dir,
    env: {
      PATH: process.env["PATH"],
      TMPDIR: join(scene.dir, "tmp"),
      TTRPC_ADDRESS: `${scene.daemon.address}.ttrpc`,
      ...options.environment,
    },
    input: options.input ?? Buffer.alloc(0),
    deadlineMs: 15_000,
  });
}

export class DirectShim {
  readonly bundle: TestBundle;
  readonly socketPath: string;
  readonly client: RawClient;

  private constructor(bundle: TestBundle, socketPath: string, client: RawClient) {
    this.bundle = bundle;
    this.socketPath = socketPath;
    this.client = client;
  }

  /** A shim that was started by other means. */
  static over(bundle: TestBundle, socketPath: string, client: RawClient): DirectShim {
    return new DirectShim(bundle, socketPath, client);
  }

  /** Makes a bundle, starts its shim and connects. */
  static async start(scene: ShimStage, args: readonly string[], change?: (spec: OciSpec) => void): Promise<DirectShim> {
    return await DirectShim.startIn(scene, new TestBundle(scene, args, change));
  }

  /** Starts the shim of a bundle and connects. */
  static async startIn(scene: ShimStage, bundle: TestBundle, options: ActionOptions = {}): Promise<DirectShim> {
    const result = await shimAction(scene, bundle, ["start"], options);
    if (result.status !== 0) throw new Error(`start exited ${result.status}: ${result.stderr}${result.stdout}`);
    const address = options.readAddress?.(result.stdoutBytes) ?? result.stdout.trim();
    const path = address.replace(/^unix:\/\//, "");
    const client = await RawClient.connect(path);
    scene.onClose(() => client.close());
    return new DirectShim(bundle, path, client);
  }

  get id(): string {
    return this.bundle.id;
  }

  /** One call about this shim's own container; `id` may be overridden. */
  call<M extends Method>(method: M, fields: Partial<RequestOf<M>> = {}): Promise<ResponseOf<M>> {
    return callTask(this.client, method, { id: this.id, ...fields } as Partial<RequestOf<M>>);
  }

  /** Create without stdio. */
  create(fields: Partial<api.CreateTaskRequest> = {}): Promise<api.CreateTaskResponse> {
    return this.call("Create", { bundle: this.bundle.dir, ...fields });
  }

  async shimPid(): Promise<number> {
    return (await this.call("Connect")).shimPid;
  }

  /** Ends and deletes the container, if any, shuts the shim down, and runs `delete` as the daemon does. */
  async end(scene: ShimStage): Promise<void> {
    const pid = await this.shimPid();
    await this.call("Kill", { signal: 9, all: true }).catch(() => undefined);
    await this.call("Wait").catch(() => undefined);
    await this.call("Delete").catch(() => undefined);
    // The answer may not come, as the shim is on its way out.
    await this.call("Shutdown", { now: true }).catch(() => undefined);
    this.client.close();
    await until("the shim to end after Shutdown", 10_000, () => !isAlive(pid));
    await shimAction(scene, this.bundle, ["-bundle", this.bundle.dir, "delete"]);
    this.bundle.remove();
  }
}
