// The ctr program as people use it, on the private containerd, with captured output and a deadline for each call.

import { findInPath, runtimeName } from "./repository.ts";
import { type CommandOptions, type CommandResult, run, runOk } from "./command.ts";

export class Ctr {
  readonly #prefix: readonly string[];
  readonly #rootfs: string;

  constructor(address: string, namespace: string, rootfs: string) {
    const program = findInPath("ctr");
    if (program === undefined) throw new Error("ctr is missing: install the Debian package containerd");
    this.#prefix = [program, "-a", address, "-n", namespace];
    this.#rootfs = rootfs;
  }

  /** The whole command line for ctr with these arguments, for those who start it themselves. */
  argv(...args: readonly string[]): string[] {
    return [...this.#prefix, ...args];
  }

  /** Arguments of `ctr run` for container `id` on the tests' root file system and the runtime under test. */
  runArgs(flags: readonly string[], id: string, command: readonly string[]): string[] {
    return ["run", ...flags, "--runtime", runtimeName, "--rootfs", this.#rootfs, id, ...command];
  }

  /** Runs ctr and returns how it ended. */
  call(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return run(this.argv(...args), options);
  }

  /** Runs ctr and expects status 0; returns its stdout. */
  async ok(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    return (await runOk(this.argv(...args), options)).stdout;
  }

  /** `ctr run` to the end of the container. */
  run(flags: readonly string[], id: string, command: readonly string[], options: CommandOptions = {}) {
    return this.call(this.runArgs(flags, id, command), options);
  }

  /** `ctr run -d`. */
  async runDetached(flags: readonly string[], id: string, command: readonly string[]): Promise<void> {
    await this.ok(this.runArgs(["-d", ...flags], id, command));
  }

  /** Pid and status (RUNNING, STOPPED, ...) of each task. */
  async tasks(): Promise<Map<string, { pid: number; status: string }>> {
    const lines = (await this.ok(["tasks", "ls"])).trim().split("\n").slice(1);
    return new Map(
      lines.map((line) => {
        const [id = "", pid = "", status = ""] = line.trim().split(/\s+/);
        return [id, { pid: Number(pid), status }];
      }),
    );
  }

  /** Kills the task if it runs, deletes it and its container. */
  async remove(id: string): Promise<void> {
    await this.call(["tasks", "kill", "-s", "SIGKILL", id]);
    await this.ok(["tasks", "rm", "-f", id]).catch((cause: unknown) => {
      if (!String(cause).includes("not found")) throw cause;
    });
    await this.ok(["containers", "rm", id]);
  }
}
