// One shim of a side, from its bundle to its end, driven as a daemon drives it. Without streams: what a process prints is
// another figure's matter.

import { closeSync, constants, mkdirSync, openSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { run } from "../test/harness/command.ts";
import { callTask, type Method, type RequestOf, type ResponseOf, TASK_V2 } from "../test/harness/direct-shim.ts";
import { makeFifo } from "../test/harness/fifo.ts";
import { ociProcess, ociSpec } from "../test/harness/oci-spec.ts";
import { isAlive } from "../test/harness/processes.ts";
import { encodeFrame, encodeRequest, RawClient } from "../test/harness/raw-ttrpc.ts";
import { until } from "../test/harness/until.ts";
import type { Side } from "./side.ts";
import type { Stage } from "./stage.ts";

const processType = "types.containerd.io/opencontainers/runtime-spec/1/Process";
const goneWithinMs = 10_000;

export class BenchShim {
  readonly id: string;
  readonly side: Side;
  readonly bundle: string;
  pid = 0;
  readonly #stage: Stage;
  readonly #log: { readonly fd: number; readonly reader: Socket };
  #socketPath = "";
  #client: RawClient | undefined;

  /** Makes the bundle as a daemon does, with the log FIFO, which is read all the time. */
  constructor(stage: Stage, side: Side, id: string, args: readonly string[]) {
    this.#stage = stage;
    this.side = side;
    this.id = id;
    this.bundle = join(stage.dir, "bundles", id);
    mkdirSync(join(this.bundle, "rootfs"), { recursive: true });
    const spec = ociSpec(stage, id, stage.rootfs, ociProcess(args));
    writeFileSync(join(this.bundle, "config.json"), JSON.stringify(spec));
    const log = join(this.bundle, "log");
    makeFifo(log);
    const fd = openSync(log, constants.O_RDWR | constants.O_NONBLOCK);
    const reader = new Socket({ fd: openSync(log, constants.O_RDONLY | constants.O_NONBLOCK), writable: false });
    reader.resume();
    this.#log = { fd, reader };
  }

  /** Runs `start` and connects. @returns milliseconds from the call to its answer. */
  async start(): Promise<number> {
    const { ms, output } = await this.#action(["start"]);
    this.#socketPath = output.trim().replace(/^unix:\/\//, "");
    this.#client = await RawClient.connect(this.#socketPath);
    this.pid = (await this.call("Connect")).shimPid;
    return ms;
  }

  get client(): RawClient {
    if (this.#client === undefined) throw new Error(`${this.id} is not connected`);
    return this.#client;
  }

  call<M extends Method>(method: M, fields: Partial<RequestOf<M>> = {}): Promise<ResponseOf<M>> {
    return callTask(this.client, method, { id: this.id, ...fields } as Partial<RequestOf<M>>);
  }

  /** Create and Start of the container. */
  async run(): Promise<void> {
    await this.call("Create", { bundle: this.bundle });
    await this.call("Start");
  }

  async addExec(execId: string, args: readonly string[]): Promise<void> {
    const value = new TextEncoder().encode(JSON.stringify(ociProcess(args)));
    await this.call("Exec", { execId, spec: { typeUrl: processType, value } });
  }

  /** The same request so many times, one after the other, over a connection of its own: microseconds of each. */
  async timeCalls(method: Method, request: Uint8Array, count: number): Promise<number[]> {
    const frame = encodeFrame({ streamId: 1, type: 1, flags: 0, payload: encodeRequest(TASK_V2, method, request) });
    const { status, stdout, stderr } = await run([this.#stage.stopwatch, "call", this.#socketPath, String(count)], {
      input: frame,
    });
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
    const { ms } = await this.#action(["-bundle", this.bundle, "delete"]);
    this.removeBundle();
    return ms;
  }

  /** Takes the bundle away: enough when no container was created in it. */
  removeBundle(): void {
    this.#log.reader.destroy();
    closeSync(this.#log.fd);
    // The stock shim leaves it at times.
    if (this.#socketPath !== "") rmSync(this.#socketPath, { force: true });
    rmSync(this.bundle, { recursive: true, force: true });
    this.#stage.forget(this);
  }

  /** Ends a running container and its shim in good order. */
  async end(): Promise<void> {
    await this.call("Kill", { signal: 9, all: true });
    await this.call("Wait");
    await this.call("Delete");
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
      await this.#action(["-bundle", this.bundle, "delete"]);
    } catch {
      // What is left is found when the stage closes.
    }
    this.removeBundle();
  }

  async #action(words: readonly string[]): Promise<{ ms: number; output: string }> {
    const { stopwatch, namespace, daemonAddress } = this.#stage;
    const flags = ["-namespace", namespace, "-address", daemonAddress, "-publish-binary", "/usr/bin/containerd"];
    const { stdout, stderr } = await run([stopwatch, "run", this.side.program, ...flags, "-id", this.id, ...words], {
      cwd: this.bundle,
      // As containerd 1.6 calls a shim.
      env: { PATH: process.env["PATH"], GOMAXPROCS: "2", TTRPC_ADDRESS: `${daemonAddress}.ttrpc` },
    });
    const [, ns, status, output = ""] = /^(\d+) (\d+)\n([^]*)$/.exec(stdout) ?? [];
    if (ns === undefined || status !== "0") {
      throw new Error(`${this.side.program} ${words.join(" ")} failed (${status ?? "no status"}): ${output}${stderr}`);
    }
    return { ms: Number(ns) / 1e6, output };
  }
}

/** Kilobytes of a process, as the kernel adds them up over its mappings. */
export function memoryOf(pid: number): { readonly rss: number; readonly pss: number; readonly privateDirty: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1]);
  return { rss: field("Rss"), pss: field("Pss"), privateDirty: field("Private_Dirty") };
}
