// The client's ends of the stdio FIFOs: readers that are quick, slow, stalled, or go away and come back, and a writer.
// Everything read is either kept as text or checked against the pattern as it comes, so that 256 MiB cost no memory.

import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { PatternChecker } from "./pattern.ts";
import { until, within } from "./until.ts";

const CHUNK = 1 << 16;
/** The pause of a slow reader after each chunk. */
const SLOW_PAUSE_MS = 2;

/** Makes a FIFO only its owner may use. */
export function makeFifo(path: string): void {
  execFileSync("mkfifo", ["-m", "600", path]);
}

/** Makes many FIFOs with one program. */
export function makeFifos(paths: readonly string[]): void {
  if (paths.length > 0) execFileSync("mkfifo", ["-m", "600", ...paths]);
}

export type Reading = "quick" | "slow" | "stalled";

export class FifoReader {
  readonly #path: string;
  readonly #keep: boolean;
  readonly #checker = new PatternChecker();
  readonly #chunks: Buffer[] = [];
  #kept = 0;
  #reading: Reading;
  #socket: Socket | undefined;
  #finish!: () => void;
  /** Settles at the end of the stream. */
  readonly ended: Promise<void>;
  #isEnded = false;

  /** @param keep keeps what comes as text; otherwise it is checked against the pattern. */
  constructor(path: string, keep: boolean, reading: Reading = "quick") {
    this.#path = path;
    this.#keep = keep;
    this.#reading = reading;
    this.ended = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.open();
  }

  /** Opens the FIFO, the first time or after `leave`. */
  open(): void {
    const fd = openSync(this.#path, constants.O_RDONLY | constants.O_NONBLOCK);
    const socket = new Socket({ fd, readable: true, writable: false });
    this.#socket = socket;
    if (this.#reading === "stalled") socket.pause();
    socket.on("data", (chunk: Buffer) => {
      this.#take(chunk);
      if (this.#reading !== "slow") return;
      socket.pause();
      void delay(SLOW_PAUSE_MS).then(() => socket.resume());
    });
    socket.on("end", () => {
      this.#isEnded = true;
      this.#finish();
    });
    socket.on("error", () => undefined);
    if (this.#reading === "stalled") socket.pause();
  }

  /** Changes the speed; a stalled reader goes on. */
  read(reading: Exclude<Reading, "stalled">): void {
    this.#reading = reading;
    this.#socket?.resume();
  }

  /** Closes the FIFO after having taken what had already been read; `open` comes back. */
  async leave(): Promise<void> {
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket === undefined) return;
    socket.pause();
    // read() hands what is buffered to the data listener.
    while (socket.read() !== null);
    const closed = new Promise((resolve) => socket.on("close", resolve));
    socket.destroy();
    await closed;
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  /** Bytes seen so far. */
  get count(): number {
    return this.#keep ? this.#kept : this.#checker.position;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  text(): string {
    return this.bytes().toString("utf8");
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** Waits until the text matches. */
  async untilText(pattern: RegExp, deadlineMs = 10_000): Promise<RegExpExecArray> {
    return await until(
      `output like ${pattern}`,
      deadlineMs,
      () => pattern.exec(this.text()) ?? undefined,
      () => JSON.stringify(this.text()),
    );
  }

  /** Waits for the end of the stream and returns the text. */
  async allText(deadlineMs = 10_000): Promise<string> {
    await within(`the end of ${this.#path} after ${JSON.stringify(this.text().slice(-200))}`, deadlineMs, this.ended);
    return this.text();
  }

  /** Waits for the end of the stream, which must be the first `length` bytes of the pattern. */
  async allPattern(length: number, deadlineMs = 60_000): Promise<void> {
    await within(`the end of ${this.#path}`, deadlineMs, this.ended).catch((cause: unknown) => {
      throw new Error(`${String(cause)} (${this.#checker.position} of ${length} bytes came)`);
    });
    this.#checker.end(length);
  }

  #take(chunk: Buffer): void {
    if (!this.#keep) return this.#checker.feed(chunk);
    this.#chunks.push(chunk);
    this.#kept += chunk.length;
  }
}

/**
 * Reads up to `count` bytes from a FIFO that nobody reads otherwise and closes it again: one visit of a reader who
 * comes and goes. Returns what was there; nothing waits.
 */
export function visitFifo(path: string, count: number): { bytes: Buffer; ended: boolean } {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const chunks: Buffer[] = [];
  let left = count;
  let ended = false;
  try {
    while (left > 0) {
      const chunk = Buffer.alloc(Math.min(CHUNK, left));
      const got = readSync(fd, chunk, 0, chunk.length, null);
      if (got === 0) {
        ended = true;
        break;
      }
      chunks.push(chunk.subarray(0, got));
      left -= got;
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EAGAIN") throw cause;
  } finally {
    closeSync(fd);
  }
  return { bytes: Buffer.concat(chunks), ended };
}

/** Opens the FIFO for reading without reading; the returned function closes it again. */
export function holdFifo(path: string): () => void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return () => closeSync(fd);
}

export class FifoWriter {
  readonly #path: string;
  #socket: Socket | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Opens the FIFO once someone reads it. */
  async open(deadlineMs = 10_000): Promise<void> {
    const fd = await until(`a reader of ${this.#path}`, deadlineMs, () => {
      try {
        return openSync(this.#path, constants.O_WRONLY | constants.O_NONBLOCK);
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code === "ENXIO") return undefined;
        throw cause;
      }
    });
    this.#socket = new Socket({ fd, readable: false, writable: true });
    this.#socket.on("error", () => undefined);
  }

  /** Writes everything; settles when the FIFO has taken it. */
  write(bytes: Buffer | string): Promise<void> {
    const socket = this.#socket;
    if (socket === undefined) throw new Error("the stdin FIFO is not open");
    return new Promise((resolve, reject) => {
      socket.write(bytes, (fault) => (fault ? reject(fault) : resolve()));
    });
  }

  /** Closes the client's end. */
  async close(): Promise<void> {
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket === undefined) return;
    const closed = new Promise((resolve) => socket.on("close", resolve));
    socket.destroySoon();
    await closed;
  }
}
