// Logging programs (binary:// addresses): each reads the two outputs of one process from its fds 3 and 4 until both end,
// after it has said on fd 5 that it is ready, and checks that the bytes are those that were written. Some never get
// ready, some die before or after that, some do not heed SIGTERM.

import { isErrno } from "../src/sys/errno.ts";
import type { SpawnRequest } from "../src/sys/sys.d.ts";
import { pipeBytes } from "./calls.ts";
import type { Kernel } from "./kernel.ts";
import type { Pipe } from "./pipe.ts";
import type { VirtualProcess } from "./processes.ts";
import type { Output } from "./program.ts";
import type { StreamEnd } from "./reader.ts";

const file = "/bin/logger";

/** What it is like. */
type Manner = "good" | "neverReady" | "diesEarly" | "diesLate" | "stubborn";

/** One output as the logger has it. */
class LoggedStream implements StreamEnd {
  readonly path: string;
  expected: Output | undefined;
  hasLeft = false;
  readonly holds = pipeBytes;
  pipe: Pipe | undefined;
  got = 0;

  constructor(path: string) {
    this.path = path;
  }

  get arrived(): number {
    return this.got + (this.pipe?.bytes ?? 0);
  }
}

export class Loggers {
  /** Chance that one is not good. */
  trouble: number;
  readonly #kernel: () => Kernel;
  readonly #broken: (text: string) => void;
  readonly #streams: (readonly [LoggedStream, LoggedStream])[] = [];

  constructor(kernel: () => Kernel, trouble: number, broken: (text: string) => void) {
    this.#kernel = kernel;
    this.trouble = trouble;
    this.#broken = broken;
  }

  /** A new one: its address, and what it will have read. */
  make(version: 1 | 2): { readonly address: string; readonly streams: readonly [StreamEnd, StreamEnd] } {
    const address = `${version === 1 ? "binary" : "binary-v2"}://${file}?n=${this.#streams.length}`;
    const streams = [new LoggedStream(`${address} fd 3`), new LoggedStream(`${address} fd 4`)] as const;
    this.#streams.push(streams);
    return { address, streams };
  }

  /** The kernel starts a program: false when it is not this one. */
  exec(process: VirtualProcess, request: SpawnRequest): boolean {
    if (request.file !== file) return false;
    const streams = this.#streams[Number(request.argv.at(-1))];
    if (streams === undefined) return false;
    const { random } = this.#kernel();
    const manner: Manner = random.chance(this.trouble)
      ? random.pick(["neverReady", "diesEarly", "diesLate", "stubborn"])
      : "good";
    this.#run(process, streams, manner);
    return true;
  }

  /** All is over: what is missing. */
  finish(): void {
    for (const { path, expected, hasLeft, got, pipe } of this.#streams.flat()) {
      if (hasLeft || expected === undefined || pipe === undefined || got === expected.written) continue;
      this.#broken(`${path}: ${expected.written} bytes were written and ${got} arrived`);
    }
  }

  #run(process: VirtualProcess, streams: readonly [LoggedStream, LoggedStream], manner: Manner): void {
    const { timeline, random, processes } = this.#kernel();
    const later = (most: number, fn: () => void): void => {
      timeline.after(random.delay(most), () => {
        if (!process.isDying && process.ended === undefined) fn();
      });
    };
    for (const [index, stream] of streams.entries()) stream.pipe = process.fds.get(3 + index)?.source;
    // One that is ended by force leaves unread what is still in its pipes.
    process.onEnd = () => {
      if (process.ended?.code !== 1) for (const stream of streams) stream.hasLeft = true;
    };
    if (manner === "stubborn") process.onSignal = () => undefined;
    if (manner === "diesEarly") return later(20, () => processes.exit(process, 3));
    if (manner === "neverReady") return;
    later(20, () => {
      const ready = process.fds.get(5);
      ready?.target?.write(new Uint8Array([10]));
      ready?.release();
      process.fds.delete(5);
      if (manner === "diesLate") later(200, () => processes.killed(process, 11));
      for (const [index, stream] of streams.entries()) {
        this.#follow(stream, later, () => {
          process.fds.get(3 + index)?.release();
          process.fds.delete(3 + index);
          if (!process.fds.has(3) && !process.fds.has(4)) processes.exit(process, 0);
        });
      }
    });
  }

  /** Reads it to its end. */
  #follow(stream: LoggedStream, later: (most: number, fn: () => void) => void, ended: () => void): void {
    const { pipe } = stream;
    if (pipe === undefined) return ended();
    let isDue = false;
    const look = (): void => {
      if (isDue || (pipe.bytes === 0 && pipe.writers > 0)) return;
      isDue = true;
      later(5, () => {
        isDue = false;
        const bytes = pipe.read(64);
        if (isErrno(bytes)) return;
        if (bytes.length === 0) {
          pipe.watchers.delete(look);
          return ended();
        }
        for (const byte of bytes) {
          if (!stream.hasLeft && byte !== (stream.got & 0xff))
            this.#broken(`${stream.path}: byte ${stream.got} is ${byte}`);
          stream.got++;
        }
        look();
      });
    };
    pipe.watchers.add(look);
    look();
  }
}
