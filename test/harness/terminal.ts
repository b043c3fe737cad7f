// A real terminal for the programs under test: what a person types and sees.

import * as pty from "node-pty";
import { until, within } from "./until.ts";

export class Terminal {
  readonly #pty: pty.IPty;
  readonly #exit: Promise<{ exitCode: number; signal?: number | undefined }>;
  #text = "";
  #seen = 0;

  /** Runs `argv` on a new terminal. */
  constructor(argv: readonly string[], size: { columns: number; rows: number } = { columns: 80, rows: 24 }) {
    const [file = "", ...args] = argv;
    this.#pty = pty.spawn(file, args, {
      cols: size.columns,
      rows: size.rows,
      env: process.env as Record<string, string>,
    });
    this.#pty.onData((text) => {
      this.#text += text;
    });
    this.#exit = new Promise((resolve) => this.#pty.onExit(resolve));
  }

  get pid(): number {
    return this.#pty.pid;
  }

  /** Everything shown so far. */
  get text(): string {
    return this.#text;
  }

  type(text: string): void {
    this.#pty.write(text);
  }

  resize(columns: number, rows: number): void {
    this.#pty.resize(columns, rows);
  }

  /** Waits until what was shown since the last match matches. */
  async untilShown(pattern: RegExp, deadlineMs = 10_000): Promise<RegExpExecArray> {
    const match = await until(
      `the terminal to show ${pattern}`,
      deadlineMs,
      () => pattern.exec(this.#text.slice(this.#seen)) ?? undefined,
      () => JSON.stringify(this.#text),
    );
    this.#seen += match.index + match[0].length;
    return match;
  }

  /** Waits for the program's end and returns its exit status. */
  async exitStatus(deadlineMs = 10_000): Promise<number> {
    return (
      await within(`the program on the terminal to end after ${JSON.stringify(this.#text)}`, deadlineMs, this.#exit)
    ).exitCode;
  }

  kill(signal = "SIGKILL"): void {
    this.#pty.kill(signal);
  }
}
