// A runtime that can be made to stand still before or after runc does one of its commands: a script that says where it
// is and reads from a FIFO until it is let go. It has no child while it is held, so killing it kills all of it.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Options } from "../../src/api/runc-options.ts";
import type { Scene } from "./scene.ts";
import { until } from "./until.ts";

/** Runtime options that name another runtime. */
export function runtimeOptions(binaryName: string): { typeUrl: string; value: Uint8Array } {
  const value = Options.encode({ ...Options.decode(new Uint8Array()), binaryName }).finish();
  return { typeUrl: "containerd.runc.v1.Options", value };
}

/** A script in the place of the runtime. */
export function runtimeScript(scene: Scene, name: string, body: string): string {
  const dir = join(scene.dir, name);
  mkdirSync(dir, { recursive: true });
  const path = join(dir, "runtime");
  writeFileSync(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return path;
}

let count = 0;

export class HeldRuntime {
  readonly options: { typeUrl: string; value: Uint8Array };
  readonly #hold: string;
  readonly #here: string;
  readonly #gate: string;

  /** @param command the runtime's command to stand still at; "" is each of them. */
  constructor(scene: Scene, command: string, when: "before" | "after") {
    const name = `held-${count++}`;
    const dir = join(scene.dir, name);
    [this.#hold, this.#here, this.#gate] = [join(dir, "hold"), join(dir, "here"), join(dir, "gate")];
    const wait = `echo $$ > ${this.#here}.new; mv ${this.#here}.new ${this.#here}; read word < ${this.#gate}`;
    const script = [
      `case " $* " in *" ${command === "" ? "" : `${command} `}"*) ;; *) exec runc "$@" ;; esac`,
      `[ -e ${this.#hold} ] || exec runc "$@"`,
      ...(when === "before" ? [wait, 'exec runc "$@"'] : ['runc "$@"', "status=$?", wait, "exit $status"]),
    ];
    this.options = runtimeOptions(runtimeScript(scene, name, script.join("\n")));
    execFileSync("mkfifo", [this.#gate]);
    writeFileSync(this.#hold, "");
  }

  /** The pid of the runtime that stands still, once there is one. */
  async held(): Promise<number> {
    await until("the runtime to stand still", 10_000, () => existsSync(this.#here));
    return Number(readFileSync(this.#here, "utf8"));
  }

  /** Calls from now on are let through. */
  letThrough(): void {
    rmSync(this.#hold, { force: true });
  }

  /** The one that stands still goes on, and so do all after it. */
  release(): void {
    this.letThrough();
    writeFileSync(this.#gate, "go\n");
  }
}
