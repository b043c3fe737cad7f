// One shim of a side, from its bundle to its end, driven as a daemon drives it.

import { readlinkSync, rmSync } from "node:fs";
import { run } from "../test/harness/command.ts";
import {
  callTask,
  type Method,
  type RequestOf,
  type ResponseOf,
  TASK_V2,
  TASK_V3,
} from "../test/harness/direct-shim.ts";
import { ociProcess } from "../test/harness/oci-spec.ts";
import { isAlive } from "../test/harness/processes.ts";
import { encodeFrame, encodeRequest, RawClient } from "../test/harness/raw-ttrpc.ts";
import { until } from "../test/harness/until.ts";
import type { Waiter } from "./arrivals.ts";
import { Bundle } from "./bundle.ts";
import type { Side } from "./side.ts";
import type { Stage } from "./stage.ts";

const processType = "types.containerd.io/opencontainers/runtime-spec/1/Process";
const goneWithinMs = 10_000;
/** A call may take long when hundreds are under way. */
const callWithinMs = 180_000;

export interface StartOptions {
  /** The cgroup.procs of a cgroup that `start`, and so the shim, is to run in. */
  readonly cgroupProcs?: string;
}

/** FIFOs of a process. The stock shim wants both unless there is a terminal. */
export interface Streams {
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

const noStreams: Streams = { stdout: "", stderr: "", terminal: false };

export class BenchShim {
  readonly id: string;
  readonly side: Side;
  readonly bundle: Bundle;
  pid = 0;
  readonly #stage: Stage;
  readonly #others: Bundle[] = [];
  #service = TASK_V2;
  #socketPath = "";
  #client: RawClient | undefined;

  /** Makes the bundle as a daemon does, with the log FIFO, which is read all the time. */
  constructor(stage: Stage, side: Side, id: string, args: readonly string[]) {
    this.#stage = stage;
    this.side = side;
    this.id = id;
    this.bundle = new Bundle(stage, id, args);
    this.bundle.openLog();
  }

  /** Runs `start` and connects. @returns milliseconds from the call to its answer. */
  async start(options: StartOptions = {}): Promise<number> {
    const { ms, output } = await this.#action(["start"], options);
    const { address, service } = readAnswer(output);
    this.#service = service;
    this.#socketPath = address.replace(/^unix:\/\//, "");
    this.#client = await RawClient.connect(this.#socketPath);
    this.pid = (await this.call("Connect")).shimPid;
    return ms;
  }

  get client(): RawClient {
    if (this.#client === undefined) throw new Error(`${this.id} is not connected`);
    return this.#client;
  }

  call<M extends Method>(method: M, fields: Partial<RequestOf<M>> = {}): Promise<ResponseOf<M>> {
    const request = { id: this.id, ...fields } as Partial<RequestOf<M>>;
    return callTask(this.client, method, request, this.#service, callWithinMs);
  }

  /** Create and Start of the container. */
  async run(): Promise<void> {
    await this.call("Create", { bundle: this.bundle.dir });
    await this.call("Start");
  }

  /** The bundle of a further container for this shim, as the second of a pod is. */
  addBundle(args: readonly string[]): Bundle {
    const bundle = new Bundle(this.#stage, this.#stage.newId(this.side), args);
    this.#others.push(bundle);
    return bundle;
  }

  /** Creates a further container, of a bundle that was added; it is not started. */
  async create(bundle: Bundle, streams = noStreams): Promise<Bundle> {
    await this.call("Create", { id: bundle.id, bundle: bundle.dir, ...streams });
    return bundle;
  }

  /** Takes away the bundle of a container that is deleted. */
  removeContainer(bundle: Bundle): void {
    this.#others.splice(this.#others.indexOf(bundle), 1);
    bundle.remove();
  }

  async addExec(execId: string, args: readonly string[], streams = noStreams): Promise<void> {
    const value = new TextEncoder().encode(JSON.stringify(ociProcess(args, streams.terminal)));
    await this.call("Exec", { execId, ...streams, spec: { typeUrl: processType, value } });
  }

  /** A connection of its own on which Wait's answers are stamped. */
  openWaiter(): Waiter {
    return this.#stage.openWaiter(this.#socketPath, this.#service);
  }

  /** The same request so many times, one after the other, over a connection of its own: microseconds of each. */
  async timeCalls(method: Method, request: Uint8Array, count: number): Promise<number[]> {
    const payload = encodeRequest(this.#service, method, request);
    const frame = encodeFrame({ streamId: 1, type: 1, flags: 0, payload });
    const argv = [this.#stage.programs.stopwatch, "call", this.#socketPath, String(count)];
    const { status, stdout, stderr } = await run(argv, { input: frame });
    if (status !== 0) throw new Error(`${count} calls of ${method}: ${stderr}`);
    return stdout
      .trim()
      .split("\n")
      .map((ns) => Number(ns) / 1e3);
  }

  /** Milliseconds from Shutdown to the end of the connection and of the process. */
  async shutdown(): Promise<number> {
    const began = performance.now();
    // The answer may not come, as the shim is on its way out.
    await this.call("Shutdown").catch(() => undefined);
    await this.client.closed;
    const ms = performance.now() - began;
    await until(`shim ${this.pid} to end`, goneWithinMs, () => !isAlive(this.pid));
    return ms;
  }

  /** Runs `delete` and takes the bundle away. @returns milliseconds from the call to its answer. */
  async remove(): Promise<number> {
    const { ms } = await this.#action(["-bundle", this.bundle.dir, "delete"]);
    this.removeBundle();
    return ms;
  }

  /** Takes the bundle away: enough when no container was created in it. */
  removeBundle(): void {
    // The stock shim leaves it at times.
    if (this.#socketPath !== "") rmSync(this.#socketPath, { force: true });
    for (const bundle of this.#others) bundle.remove();
    this.bundle.remove();
    this.#stage.forget(this);
  }

  /** Ends the running containers and their shim in good order. */
  async end(): Promise<void> {
    for (const { id } of [...this.#others, this.bundle]) {
      await this.call("Kill", { id, signal: 9, all: true });
      await this.call("Wait", { id });
      await this.call("Delete", { id });
    }
    await this.shutdown();
    await this.remove();
  }

  /** Ends whatever there is, by pid, after a failure. Never throws. */
  async destroy(): Promise<void> {
    try {
      this.#client?.close();
      // The pid could be another's by now: it is ours as long as it runs our copy of the program.
      if (this.pid > 0 && isAlive(this.pid) && readlinkSync(`/proc/${this.pid}/exe`) === this.side.program) {
        process.kill(this.pid, "SIGKILL");
      }
      for (const { id, dir } of [...this.#others, this.bundle]) {
        await this.#action(["-bundle", dir, "delete"], {}, id).catch(() => undefined);
      }
    } catch {
      // What is left is found when the stage closes.
    }
    this.removeBundle();
  }

  async #action(
    words: readonly string[],
    { cgroupProcs }: StartOptions = {},
    id = this.id,
  ): Promise<{ ms: number; output: string }> {
    const { programs, namespace, daemonAddress } = this.#stage;
    const flags = ["-namespace", namespace, "-address", daemonAddress, "-publish-binary", "/usr/bin/containerd"];
    const place = cgroupProcs === undefined ? [] : ["-g", cgroupProcs];
    const argv = [programs.stopwatch, "run", ...place, this.side.program, ...flags, "-id", id, ...words];
    const { stdout, stderr } = await run(argv, {
      cwd: this.bundle.dir,
      // As containerd calls a shim; and for a build with the sampler, where its stacks go.
      env: {
        PATH: process.env["PATH"],
        GOMAXPROCS: "2",
        TTRPC_ADDRESS: `${daemonAddress}.ttrpc`,
        MOOR_PROFILE: process.env["MOOR_PROFILE"],
      },
      deadlineMs: callWithinMs,
    });
    const [, ns, status, output = ""] = /^(\d+) (\d+)\n([^]*)$/.exec(stdout) ?? [];
    if (ns === undefined || status !== "0") {
      throw new Error(`${this.side.program} ${words.join(" ")} failed (${status ?? "no status"}): ${output}${stderr}`);
    }
    return { ms: Number(ns) / 1e6, output };
  }
}

/** `start` answers with an address, or since containerd 2 with a JSON text that names the API's version too. */
function readAnswer(output: string): { address: string; service: string } {
  if (!output.startsWith("{")) return { address: output.trim(), service: TASK_V2 };
  const { address, version } = JSON.parse(output) as { address: string; version: number };
  return { address, service: version >= 3 ? TASK_V3 : TASK_V2 };
}
