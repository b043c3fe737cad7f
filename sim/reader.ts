// A client at the other end of a process's FIFO: reads at its own pace, may stall, leave and come back, and checks that
// the bytes are those that were written, in order.

import { isErrno } from "../src/sys/errno.ts";
import { Description } from "./files.ts";
import type { Kernel } from "./kernel.ts";
import type { Output } from "./program.ts";
import type { Pipe } from "./pipe.ts";

/** What a client's FIFO holds. */
export const fifoBytes = 128;

/** Where one stream of a process goes. */
export interface StreamEnd {
  readonly path: string;
  /** What the process that has this stream writes, once it is known. */
  expected: Output | undefined;
  /** Bytes that fit between it and the shim: with more, what it does not take is held up. */
  readonly holds: number;
  /** Bytes that it has, or that wait for it. */
  readonly arrived: number;
  /** It was away for a while, or for good: bytes are missing, and none of them the shim's fault. */
  hasLeft: boolean;
}

export class Reader implements StreamEnd {
  readonly path: string;
  expected: Output | undefined;
  /** It has read the end of the stream. */
  ended = false;
  hasLeft = false;
  readonly holds = fifoBytes;
  #got = 0;
  readonly #kernel: Kernel;
  readonly #broken: (text: string) => void;
  readonly #pipe: Pipe;
  #open: Description | undefined;
  #seenWriter = false;
  #isDue = false;
  /** How long it may look away, milliseconds. */
  #laziness: number;

  constructor(kernel: Kernel, path: string, laziness: number, broken: (text: string) => void) {
    this.#kernel = kernel;
    this.#broken = broken;
    this.#laziness = laziness;
    this.path = path;
    this.#pipe = kernel.files.makeFifo(path, fifoBytes);
    this.#come();
    this.#pipe.watchers.add(() => this.#look());
  }

  get arrived(): number {
    return this.#got + this.#pipe.bytes;
  }

  leave(): void {
    this.hasLeft = true;
    this.#open?.release();
    this.#open = undefined;
  }

  comeBack(): void {
    if (this.#open === undefined) this.#come();
    this.#look();
  }

  /** From now on it reads what there is. */
  hurry(): void {
    this.#laziness = 1;
    this.#isDue = false;
    this.#look();
  }

  /** Says what is missing; closes the FIFO. */
  finish(): void {
    this.#open?.release();
    this.#open = undefined;
    if (this.hasLeft || this.expected === undefined) return;
    if (this.#got !== this.expected.written) {
      this.#broken(`${this.path}: ${this.expected.written} bytes were written and ${this.#got} arrived`);
    }
  }

  #come(): void {
    this.#open = new Description("pipe", `${this.path} of its client`, { source: this.#pipe }).share();
  }

  #look(): void {
    if (this.#pipe.writers > 0) this.#seenWriter = true;
    if (this.#isDue || this.#open === undefined || this.ended) return;
    if (this.#pipe.bytes === 0 && (this.#pipe.writers > 0 || !this.#seenWriter)) return;
    this.#isDue = true;
    this.#kernel.timeline.after(this.#kernel.random.delay(this.#laziness), () => {
      this.#isDue = false;
      this.#read();
    });
  }

  #read(): void {
    if (this.#open === undefined || this.ended) return;
    const bytes = this.#pipe.read(this.#kernel.random.between(1, 100));
    if (isErrno(bytes)) return;
    if (bytes.length === 0) {
      this.ended = true;
      return;
    }
    for (const byte of bytes) {
      if (!this.hasLeft && byte !== (this.#got & 0xff)) this.#broken(`${this.path}: byte ${this.#got} is ${byte}`);
      this.#got++;
    }
    this.#look();
  }
}
