// A client's end of a connection to the shim's socket: bytes in order, a random moment later, in random pieces, as much as
// the socket holds; and it may break. The shim's end is a description behind an fd, as on Linux.

import { codes, StatusError, type Transport, type TransportEvents } from "ttrpc";
import { isErrno } from "../src/sys/errno.ts";
import { Description } from "./files.ts";
import type { Kernel } from "./kernel.ts";
import { Pipe } from "./pipe.ts";

/** The longest that bytes are on their way, milliseconds. */
const wayMs = 1;
const longestRead = 4096;

export class ClientEnd implements Transport {
  readonly #kernel: Kernel;
  readonly #toShim: Pipe;
  readonly #fromShim: Pipe;
  #events: TransportEvents | undefined;
  readonly #queue: Uint8Array[] = [];
  #isPaused = false;
  #isClosing = false;
  #isOver = false;
  #isReading = false;
  #isWriting = false;
  readonly #look = (): void => {
    this.#read();
    this.#write();
  };

  /**
   * Connects.
   * @param bytes that a socket holds, in either direction.
   * @throws StatusError unavailable when nobody listens there.
   */
  constructor(kernel: Kernel, path: string, bytes: number) {
    this.#kernel = kernel;
    const node = kernel.files.get(path);
    if (node?.kind !== "socket" || !node.listener.isOpen)
      throw new StatusError(codes.unavailable, `nobody listens at ${path}`);
    this.#toShim = new Pipe(bytes);
    this.#fromShim = new Pipe(bytes);
    this.#toShim.open("write");
    this.#fromShim.open("read");
    const far = new Description("connection", "a client's connection", {
      source: this.#toShim,
      target: this.#fromShim,
    });
    node.listener.inbox.push(far.share());
    node.listener.notify();
    for (const pipe of [this.#toShim, this.#fromShim]) pipe.watchers.add(this.#look);
  }

  start(events: TransportEvents): void {
    this.#events = events;
    this.#look();
  }

  write(bytes: Uint8Array): boolean {
    if (!this.#isOver && !this.#isClosing) this.#queue.push(bytes);
    this.#write();
    return true;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#read();
  }

  close(): void {
    this.#isClosing = true;
    this.#write();
  }

  /** Also when the way breaks. */
  destroy(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const pipe of [this.#toShim, this.#fromShim]) pipe.watchers.delete(this.#look);
    this.#toShim.close("write");
    this.#fromShim.close("read");
    this.#kernel.timeline.after(0, () => this.#events?.closed(undefined));
  }

  #write(): void {
    if (this.#isWriting || this.#isOver) return;
    if (this.#toShim.readers === 0) return this.destroy();
    if (this.#queue.length === 0) {
      if (this.#isClosing) this.destroy();
      return;
    }
    if (this.#toShim.space === 0) return;
    this.#isWriting = true;
    const { timeline, random } = this.#kernel;
    timeline.after(random.delay(wayMs), () => {
      this.#isWriting = false;
      const first = this.#queue.shift();
      if (this.#isOver || first === undefined) return;
      const most = random.chance(0.1) ? random.between(1, first.length) : first.length;
      const written = this.#toShim.write(most < first.length ? first.subarray(0, most) : first);
      const count = isErrno(written) ? 0 : written;
      if (count < first.length) this.#queue.unshift(first.subarray(count));
      this.#write();
    });
  }

  #read(): void {
    if (this.#isReading || this.#isOver || this.#isPaused || this.#events === undefined) return;
    if (this.#fromShim.bytes === 0 && this.#fromShim.writers > 0) return;
    this.#isReading = true;
    const { timeline, random } = this.#kernel;
    timeline.after(random.delay(wayMs), () => {
      this.#isReading = false;
      if (this.#isOver) return;
      const bytes = this.#fromShim.read(random.chance(0.1) ? random.between(1, 20) : longestRead);
      if (isErrno(bytes)) return;
      if (bytes.length === 0) return this.destroy();
      this.#events?.data(bytes);
      this.#read();
    });
  }
}
