// What a runtime writes to its standard output or error, taken as it comes: the pipe is always emptied, so that the
// runtime never waits for us, but only the first and the last bytes are kept. Whoever opens a tap ends it with finish(),
// which does not wait for the end of the stream (a hook's child may hold the pipe for ever).

import { EAGAIN, EINTR, isErrno } from "../sys/errno.ts";
import { must } from "../sys/error.ts";
import { POLLIN } from "../sys/flags.ts";
import type { Fd, Sys } from "../sys/sys.d.ts";

const readBytes = 16 * 1024;
/** Reads in one turn of the loop, so that a runtime that writes without end does not hold up everything else. */
const readsPerTurn = 16;

export class OutputTap {
  /** The end for the child: hand it to spawn, then call closeWriteEnd(). */
  readonly writeFd: Fd;
  readonly #sys: Sys;
  readonly #readFd: Fd;
  readonly #keepBytes: number;
  #buffer: Uint8Array | undefined;
  #open = true;
  #writeEndOpen = true;
  #polling = false;
  #head: Uint8Array[] = [];
  #headBytes = 0;
  #tail: Uint8Array[] = [];
  #tailBytes = 0;
  #totalBytes = 0;

  /**
   * Keeps the first keepBytes and the last keepBytes.
   * @throws MoorError when no pipe can be made or watched; none is left then.
   */
  constructor(sys: Sys, keepBytes: number) {
    this.#sys = sys;
    this.#keepBytes = keepBytes;
    const [readFd, writeFd] = must(sys.pipe(0), "make a pipe for the runtime's output");
    this.#readFd = readFd;
    this.writeFd = writeFd;
    try {
      // Only our end: a runtime that is no Go program would take EAGAIN on its standard error for a failure.
      must(sys.setNonblock(readFd, true), "set the runtime's output non-blocking");
      must(
        sys.pollStart(readFd, POLLIN, () => this.#take(readsPerTurn)),
        "watch the runtime's output",
      );
    } catch (thrown) {
      sys.close(readFd);
      sys.close(writeFd);
      throw thrown;
    }
    this.#polling = true;
  }

  /** Once the child has its copy. Nothing happens the second time. */
  closeWriteEnd(): void {
    if (!this.#writeEndOpen) return;
    this.#writeEndOpen = false;
    this.#sys.close(this.writeFd);
  }

  /** Takes what is still in the pipe, without waiting, and closes it. Nothing happens the second time. */
  finish(): void {
    if (!this.#open) return;
    this.closeWriteEnd();
    // A pipe holds at most 1 MiB: more reads than that mean that somebody goes on writing.
    this.#take((1024 * 1024) / readBytes);
    this.#stopPolling();
    this.#open = false;
    this.#sys.close(this.#readFd);
    this.#buffer = undefined;
  }

  /** Whether bytes in the middle were left out. */
  get cut(): boolean {
    return this.#totalBytes > this.#headBytes + Math.min(this.#tailBytes, this.#keepBytes);
  }

  /** What was kept, with a note in the place of what was left out. */
  text(): string {
    const head = this.#sys.decodeUtf8(joined(this.#head, this.#headBytes));
    if (this.#tailBytes === 0) return head;
    const tailBytes = joined(this.#tail, this.#tailBytes);
    const tail = tailBytes.subarray(Math.max(0, tailBytes.length - this.#keepBytes));
    const left = this.#totalBytes - this.#headBytes - tail.length;
    const note = left > 0 ? `\n[${left} bytes left out]\n` : "";
    return head + note + this.#sys.decodeUtf8(tail);
  }

  #take(maxReads: number): void {
    if (!this.#open) return;
    this.#buffer ??= new Uint8Array(readBytes);
    for (let reads = 0; reads < maxReads; reads++) {
      const count = this.#sys.read(this.#readFd, this.#buffer, 0, readBytes);
      if (count === EINTR) continue;
      if (count === EAGAIN) return;
      if (isErrno(count) || count === 0) {
        this.#stopPolling();
        return;
      }
      this.#keep(this.#buffer.slice(0, count));
    }
  }

  #keep(chunk: Uint8Array): void {
    this.#totalBytes += chunk.length;
    const room = this.#keepBytes - this.#headBytes;
    if (room > 0) {
      const first = chunk.subarray(0, room);
      this.#head.push(first);
      this.#headBytes += first.length;
      chunk = chunk.subarray(first.length);
    }
    if (chunk.length === 0) return;
    this.#tail.push(chunk);
    this.#tailBytes += chunk.length;
    for (;;) {
      const oldest = this.#tail[0];
      if (oldest === undefined || this.#tailBytes - oldest.length < this.#keepBytes) return;
      this.#tail.shift();
      this.#tailBytes -= oldest.length;
    }
  }

  #stopPolling(): void {
    if (!this.#polling) return;
    this.#polling = false;
    this.#sys.pollStop(this.#readFd);
  }
}

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
