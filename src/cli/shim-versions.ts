// Which version a running shim is of: its own program is asked, the very file that runs even when another has taken its
// place, once for all shims that run it.

import { execFile } from "node:child_process";
import { statSync } from "node:fs";

export class ShimVersions {
  readonly #timeoutMs: number;
  readonly #known = new Map<string, Promise<string | undefined>>();

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** "0.1.0" or the like; undefined when the program does not tell. */
  async of(pid: number): Promise<string | undefined> {
    const program = `/proc/${pid}/exe`;
    const stat = statSync(program, { throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    const key = `${stat.dev}:${stat.ino}`;
    const asked = this.#known.get(key) ?? this.#ask(program);
    this.#known.set(key, asked);
    return asked;
  }

  #ask(program: string): Promise<string | undefined> {
    return new Promise((resolve) => {
      execFile(program, ["-v"], { timeout: this.#timeoutMs }, (fault, stdout, stderr) => {
        resolve(fault === null ? versionIn(`${stdout}${stderr}`) : undefined);
      });
    });
  }
}

/** The version in what a shim prints at -v: in its "Version:" line, or the first word that begins with a number. */
export function versionIn(text: string): string | undefined {
  const line = /^\s*Version:\s*(\S+)/m.exec(text)?.[1];
  return line ?? /(?:^|\s)v?(\d+\.\d+\S*)/.exec(text)?.[1]?.replace(/[,;]$/, "");
}
