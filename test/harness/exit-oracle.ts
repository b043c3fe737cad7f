// The kernel's own word on how processes ended, which no shim can flatter: a program that holds their pidfds
// (fixtures/exit-oracle.c). On kernels before 6.15, which do not tell, it has no word.

import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { runOk } from "./command.ts";
import { repositoryDir } from "./repository.ts";
import type { Scene } from "./scene.ts";
import { until } from "./until.ts";

async function compile(program: string): Promise<string> {
  const source = join(repositoryDir(), "test/fixtures/exit-oracle.c");
  await runOk(["musl-gcc", "-static", "-O2", "-Wall", "-Werror", "-o", program, source]);
  return program;
}

export class ExitOracle {
  static #program: Promise<string> | undefined;
  readonly #child: ChildProcess;
  #text = "";
  #failure = "";

  private constructor(scene: Scene, program: string, pids: readonly number[]) {
    this.#child = spawn(program, pids.map(String), { stdio: ["ignore", "pipe", "pipe"] });
    this.#child.stdout?.on("data", (bytes: Buffer) => {
      this.#text += bytes.toString();
    });
    this.#child.stderr?.on("data", (bytes: Buffer) => {
      this.#failure += bytes.toString();
    });
    scene.onClose(() => this.close());
  }

  /** Holds these processes, which must be alive. */
  static async hold(scene: Scene, pids: readonly number[]): Promise<ExitOracle> {
    // One compilation, however many tests ask at once; a test file has one scene.
    ExitOracle.#program ??= compile(join(scene.dir, "exit-oracle"));
    const oracle = new ExitOracle(scene, await ExitOracle.#program, pids);
    await until(
      "the oracle to hold its processes",
      5_000,
      () => oracle.#text.startsWith("ready\n"),
      () => oracle.#failure,
    );
    return oracle;
  }

  /** The status of a process that has been reaped, or will be soon; undefined on a kernel that does not tell. */
  async statusOf(pid: number): Promise<number | undefined> {
    const told = await until(
      `the kernel's word on ${pid}`,
      5_000,
      () => new RegExp(`^(unsupported|${pid} (\\d+))$`, "m").exec(this.#text) ?? undefined,
      () => this.#text + this.#failure,
    );
    return told[2] === undefined ? undefined : Number(told[2]);
  }

  close(): void {
    this.#child.kill("SIGKILL");
  }
}
