// A private containerd of either version with its own ctr, for the figures that have the daemon's cost in them.

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "../test/harness/command.ts";
import { answers } from "../test/harness/daemon.ts";
import { until, within } from "../test/harness/until.ts";
import type { Side } from "./side.ts";
import type { Stage } from "./stage.ts";

const readyWithinMs = 20_000;
const endsWithinMs = 15_000;
const ctrWithinMs = 60_000;

/** What a container needs no more of than any other; without them containerd starts quickly and alone. */
const disabledPlugins = [
  "io.containerd.grpc.v1.cri",
  "io.containerd.cri.v1.images",
  "io.containerd.cri.v1.runtime",
  "io.containerd.nri.v1.nri",
  "io.containerd.internal.v1.opt",
];

export class BenchDaemon {
  readonly #stage: Stage;
  readonly #bin: string;
  readonly #dir: string;
  readonly #address: string;
  #process: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();

  /** @param bin the folder of its programs. */
  constructor(stage: Stage, bin: string, name: string) {
    this.#stage = stage;
    this.#bin = bin;
    this.#dir = join(stage.bundlesDir, name);
    this.#address = join(this.#dir, "c.sock");
  }

  /** Starts it; the shims' programs are found in the folders of `sides`. */
  async start(sides: readonly Side[]): Promise<void> {
    mkdirSync(this.#dir);
    const config = join(this.#dir, "config.toml");
    writeFileSync(
      config,
      `version = 2
root = "${join(this.#dir, "root")}"
state = "${join(this.#dir, "state")}"
disabled_plugins = ${JSON.stringify(disabledPlugins)}
[grpc]
address = "${this.#address}"
[ttrpc]
address = "${this.#address}.ttrpc"
`,
    );
    const log = openSync(join(this.#dir, "log"), "a");
    const path = [...sides.map(({ program }) => dirname(program)), this.#bin, "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    const child = spawn(join(this.#bin, "containerd"), ["--config", config], {
      env: { PATH: path.join(":") },
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    this.#process = child;
    this.#ended = new Promise((resolve) => child.on("close", () => resolve()));
    await until(
      "containerd to answer",
      readyWithinMs,
      () => answers(this.#address),
      () => readFileSync(join(this.#dir, "log"), "utf8"),
    );
  }

  /** Runs ctr to its end. @returns milliseconds. @throws Error when it fails. */
  async ctr(...args: readonly string[]): Promise<number> {
    const { stopwatch } = this.#stage.programs;
    const ctr = [join(this.#bin, "ctr"), "-a", this.#address, "-n", this.#stage.namespace, ...args];
    const { stdout } = await run([stopwatch, "run", ...ctr], { deadlineMs: ctrWithinMs });
    const [, ns, status, output = ""] = /^(\d+) (\d+)\n([^]*)$/.exec(stdout) ?? [];
    if (status !== "0") throw new Error(`ctr ${args.join(" ")} failed (${status ?? "no status"}): ${output}`);
    return Number(ns) / 1e6;
  }

  async end(): Promise<void> {
    if (this.#process?.exitCode !== null) return;
    this.#process.kill("SIGTERM");
    await within("the end of containerd", endsWithinMs, this.#ended);
  }
}
