// A container below conmon, started as CRI-O and podman do, for the memory that conmon takes.

import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { runOk } from "../test/harness/command.ts";
import { isAlive } from "../test/harness/processes.ts";
import { findInPath } from "../test/harness/repository.ts";
import { until } from "../test/harness/until.ts";
import { Bundle } from "./bundle.ts";
import type { Stage } from "./stage.ts";

const startsWithinMs = 20_000;
const endsWithinMs = 20_000;

export class ConmonContainer {
  pid = 0;
  readonly #stage: Stage;
  readonly #program: string;
  readonly #bundle: Bundle;
  readonly #runc: readonly [string, ...string[]];

  constructor(stage: Stage, program: string, id: string) {
    const runc = findInPath("runc");
    if (runc === undefined) throw new Error("runc is not in PATH");
    this.#stage = stage;
    this.#program = program;
    this.#bundle = new Bundle(stage, id, ["/bin/inside", "idle"]);
    this.#runc = [runc, "--root", join(stage.dir, "conmon-runc")];
    mkdirSync(this.#path("exits"));
    stage.addConmon(this);
  }

  /** Runs conmon, which has the runtime create the container, and starts that. */
  async start(cgroupProcs?: string): Promise<void> {
    const { id, dir } = this.#bundle;
    const [runc, ...runcFlags] = this.#runc;
    const place = cgroupProcs === undefined ? [] : ["-g", cgroupProcs];
    const { stdout } = await runOk([
      this.#stage.programs.stopwatch,
      "run",
      ...place,
      this.#program,
      ...["--api-version", "1", "-c", id, "-u", id, "-n", id, "-b", dir, "-r", runc],
      ...runcFlags.flatMap((flag) => ["--runtime-arg", flag]),
      ...["-p", this.#path("pid"), "-P", this.#path("conmon-pid"), "-l", `k8s-file:${this.#path("log")}`],
      ...["--exit-dir", this.#path("exits"), "--socket-dir-path", dir],
    ]);
    if (!/^\d+ 0\n/.test(stdout)) throw new Error(`conmon failed: ${stdout}`);
    this.pid = await until("conmon's container to be created", startsWithinMs, () => {
      try {
        readFileSync(this.#path("pid"));
        return Number(readFileSync(this.#path("conmon-pid"), "utf8"));
      } catch {
        return undefined;
      }
    });
    await runOk([...this.#runc, "start", id]);
  }

  async end(): Promise<void> {
    await runOk([...this.#runc, "delete", "--force", this.#bundle.id]);
    if (this.pid > 0) await until("conmon to end", endsWithinMs, () => !isAlive(this.pid));
    this.#bundle.remove();
    this.#stage.forgetConmon(this);
  }

  #path(name: string): string {
    return join(this.#bundle.dir, name);
  }
}
