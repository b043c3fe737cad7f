// One shim under test, spoken to as a daemon does: by the Task service of the version that its `start` announced. Knows
// the containers that a case made in it, and how to end them in good order.

import type * as api from "../src/api/task.ts";
import type { CommandResult } from "../test/harness/command.ts";
import {
  type ActionOptions,
  callTask,
  type Method,
  type RequestOf,
  type ResponseOf,
  shimAction,
  TASK_V2,
  TASK_V3,
  type TestBundle,
} from "../test/harness/direct-shim.ts";
import { ociProcess, type OciProcess } from "../test/harness/oci-spec.ts";
import { isAlive } from "../test/harness/processes.ts";
import { RawClient, StatusError } from "../test/harness/raw-ttrpc.ts";
import { until, within } from "../test/harness/until.ts";
import { demand, nameOfCode, shorten, Shortfall } from "./case.ts";
import type { Ground, SpecChange } from "./ground.ts";
import type { StartAnswer } from "./start-answer.ts";
import { type StreamsWish, Task } from "./task.ts";

const callMs = 10_000;
const processType = "types.containerd.io/opencontainers/runtime-spec/1/Process";

/** Runs an action of the shim's program in a bundle, as containerd does. */
export function runAction(
  ground: Ground,
  bundle: TestBundle,
  action: readonly string[],
  options: ActionOptions = {},
): Promise<CommandResult> {
  const environment = { GOMAXPROCS: "2", PATH: `${process.env["PATH"]}:/usr/sbin:/sbin`, ...options.environment };
  return shimAction(ground, bundle, action, { ...options, environment });
}

/** A refusal that says which method it refused. */
export class CallRefused extends StatusError {
  readonly method: string;

  constructor(method: string, fault: StatusError) {
    super(fault.code, fault.message);
    this.method = method;
  }

  /** The whole sentence. */
  sentence(): string {
    return `${this.method} is refused with ${nameOfCode(this.code)} ("${shorten(this.message)}")`;
  }
}

export class Shim {
  readonly ground: Ground;
  readonly bundle: TestBundle;
  readonly answer: StartAnswer;
  readonly service: string;
  readonly client: RawClient;
  readonly #tasks: Task[] = [];
  #execs = 0;
  #isOver = false;

  private constructor(ground: Ground, bundle: TestBundle, answer: StartAnswer, client: RawClient) {
    this.ground = ground;
    this.bundle = bundle;
    this.answer = answer;
    this.service = answer.version >= 3 ? TASK_V3 : TASK_V2;
    this.client = client;
  }

  static async connect(ground: Ground, bundle: TestBundle, answer: StartAnswer): Promise<Shim> {
    const client = await RawClient.connect(answer.socketPath).catch((cause: unknown) => {
      throw new Shortfall(`nobody answers at the address that start printed: ${(cause as Error).message}`);
    });
    return new Shim(ground, bundle, answer, client);
  }

  get id(): string {
    return this.bundle.id;
  }

  /** Another connection to this shim. */
  async reconnect(): Promise<RawClient> {
    const client = await RawClient.connect(this.answer.socketPath);
    this.ground.onClose(() => client.close());
    return client;
  }

  /** One call about this bundle's container; `id` may be overridden. @throws CallRefused */
  async call<M extends Method>(
    method: M,
    fields: Partial<RequestOf<M>> = {},
    options: { client?: RawClient; deadlineMs?: number } = {},
  ): Promise<ResponseOf<M>> {
    const request = { id: this.id, ...fields } as Partial<RequestOf<M>>;
    const { client = this.client, deadlineMs = callMs } = options;
    try {
      return await callTask(client, method, request, this.service, deadlineMs);
    } catch (cause) {
      if (cause instanceof StatusError) throw new CallRefused(method, cause);
      if (client.socket.destroyed) throw new Shortfall(`the shim has hung up when it is asked for ${method}`);
      throw cause;
    }
  }

  /** Create, without streams unless they are wished for. */
  async create(wish: StreamsWish = {}, fields: Partial<api.CreateTaskRequest> = {}): Promise<Task> {
    const task = new Task(this, "", wish);
    this.#tasks.push(task);
    const { pid } = await this.call("Create", { bundle: this.bundle.dir, ...task.request, ...fields });
    task.pid = pid;
    return task;
  }

  /** Create with streams, and Start. */
  async runInit(wish: StreamsWish): Promise<Task> {
    const task = await this.create(wish);
    await this.call("Start");
    return task;
  }

  /** Adds an exec; it is not started. */
  async addExec(
    args: readonly string[],
    wish: StreamsWish = {},
    change?: (process: OciProcess) => void,
  ): Promise<Task> {
    const task = new Task(this, `e${this.#execs++}`, wish);
    this.#tasks.push(task);
    const spec = ociProcess(args, wish.terminal === true);
    change?.(spec);
    await this.call("Exec", { execId: task.execId, ...task.request, spec: processSpec(spec) });
    return task;
  }

  /** Adds an exec and starts it. */
  async exec(args: readonly string[], wish: StreamsWish = {}): Promise<Task> {
    const task = await this.addExec(args, wish);
    await task.start();
    return task;
  }

  /** Another container in this shim, in a bundle of its own: `start` in the same group, without a connection of its own. */
  async join(args: readonly string[], change: SpecChange): Promise<Shim> {
    return await this.ground.startIn(this.ground.bundle(args, change));
  }

  async pid(): Promise<number> {
    return (await this.call("Connect")).shimPid;
  }

  /** Runs the `delete` action in the bundle. */
  deleteAction(options: ActionOptions = {}): Promise<CommandResult> {
    return runAction(this.ground, this.bundle, ["-bundle", this.bundle.dir, "delete"], options);
  }

  /** Sends SIGKILL to the shim and waits for its end. */
  async kill(): Promise<number> {
    const pid = await this.pid();
    process.kill(pid, "SIGKILL");
    await until("the killed shim to be gone", 5_000, () => !isAlive(pid));
    return pid;
  }

  /** Says that the case has ended this shim itself. */
  isEnded(): void {
    this.#isOver = true;
  }

  /** Kill, Wait, Delete, Shutdown, and the `delete` action, as the daemon does. */
  async end(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    // Refusals are no matter here: a case may have done a part of it.
    const quietly = (call: Promise<unknown>): Promise<unknown> => call.catch(() => undefined);
    await quietly(this.call("Kill", { signal: 9, all: true }));
    await quietly(this.call("Wait"));
    for (const task of this.#tasks) if (task.execId !== "") await quietly(task.delete());
    await quietly(this.call("Delete"));
    for (const task of this.#tasks) task.forget();
    await quietly(within("the end after Shutdown", 4_000, this.call("Shutdown", { now: true })));
    this.client.close();
    await quietly(this.deleteAction());
    this.bundle.remove();
  }

  /** Ends containers and shim, and demands that the shim's process goes. */
  async shutdown(): Promise<void> {
    const pid = await this.pid();
    await this.call("Shutdown", { now: true }).catch((cause: unknown) => {
      // The answer may not come, as the shim is on its way out.
      if (cause instanceof StatusError) throw cause;
    });
    await until("the shim to end after Shutdown", 5_000, () => !isAlive(pid));
    this.client.close();
  }

  /** Closes and removes the client's ends of all streams. */
  forget(): void {
    for (const task of this.#tasks) task.forget();
    this.client.close();
  }
}

/** An OCI process as Exec takes it. */
export function processSpec(process: OciProcess): { typeUrl: string; value: Uint8Array } {
  return { typeUrl: processType, value: new TextEncoder().encode(JSON.stringify(process)) };
}

/** @throws Shortfall when the shim does not answer a Connect. */
export async function demandServes(shim: Shim, after: string): Promise<void> {
  const answer = await shim.call("Connect", {}, { deadlineMs: 5_000 }).catch((cause: unknown) => cause);
  demand(
    !(answer instanceof Error),
    () => `after ${after} the shim does not serve any more: ${(answer as Error).message}`,
  );
}
