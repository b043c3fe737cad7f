// A helper program of the bench's that speaks in lines on its standard output and ends when its standard input does.

import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { within } from "../test/harness/until.ts";

const readyWithinMs = 10_000;
const endsWithinMs = 10_000;

export class LineProgram {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #ended: Promise<void>;
  readonly #name: string;
  #rest = "";

  constructor(argv: readonly [string, ...string[]], onLine: (line: string) => void) {
    this.#name = argv.slice(0, 2).join(" ");
    this.#child = spawn(argv[0], argv.slice(1), { stdio: ["pipe", "pipe", "inherit"] });
    this.#child.stdin.on("error", () => undefined);
    this.#child.stdout.setEncoding("latin1").on("data", (text: string) => {
      const lines = (this.#rest + text).split("\n");
      this.#rest = lines.pop() as string;
      for (const line of lines) onLine(line);
    });
    this.#ended = new Promise((resolve) => {
      this.#child.on("close", (status, signal) => {
        // It ends when it is told to, or with its shim; anything else makes the figures after it worthless.
        if (signal !== null || status !== 0) {
          process.stderr.write(`bench: ${this.#name} ended: ${signal ?? status}\n`);
          process.exitCode = 1;
        }
        resolve();
      });
    });
  }

  /** Starts a program whose first line is "ready", and waits for that. */
  static async ready(argv: readonly [string, ...string[]], onLine: (line: string) => void): Promise<LineProgram> {
    let isReady: () => void = () => undefined;
    const ready = new Promise<void>((resolve) => (isReady = resolve));
    const program = new LineProgram(argv, (line) => (line === "ready" ? isReady() : onLine(line)));
    await within(`${argv[0]} to be ready`, readyWithinMs, ready);
    return program;
  }

  write(bytes: Uint8Array): void {
    this.#child.stdin.write(bytes);
  }

  async end(): Promise<void> {
    this.#child.stdin.end();
    await within(`the end of ${this.#name}`, endsWithinMs, this.#ended);
  }
}
