// A recording of a terminal in the asciicast format, version 2: a line of JSON that describes it, then one line for each
// thing shown, with the seconds since the beginning.

import { closeSync, openSync, writeSync } from "node:fs";

export class Recording {
  readonly #fd: number;
  readonly #startMs = performance.now();

  /** Makes the file, for its owner alone. @throws the system's refusal; a file that is there is not replaced. */
  constructor(path: string, title: string, columns: number, rows: number) {
    this.#fd = openSync(path, "wx", 0o600);
    const timestamp = Math.floor(Date.now() / 1000);
    const env = { SHELL: process.env["SHELL"] ?? "/bin/sh", TERM: process.env["TERM"] ?? "xterm" };
    writeSync(this.#fd, `${JSON.stringify({ version: 2, width: columns, height: rows, timestamp, title, env })}\n`);
  }

  shown(text: string): void {
    this.#line("o", text);
  }

  resized(columns: number, rows: number): void {
    this.#line("r", `${columns}x${rows}`);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #line(kind: string, data: string): void {
    const seconds = Math.round((performance.now() - this.#startMs) * 1000) / 1e6;
    writeSync(this.#fd, `${JSON.stringify([seconds, kind, data])}\n`);
  }
}
