// One connected unix socket as ttrpc's Transport: reads while it is wanted, writes at once what the socket takes and
// queues the rest, and says exactly once that the connection is over. It owns the fd.

import type { Timers, Transport, TransportEvents } from "ttrpc";
import { EAGAIN, EINTR, errnoName, isErrno } from "../sys/errno.ts";
import { MoorError } from "../sys/error.ts";
import { POLLIN, POLLOUT } from "../sys/flags.ts";
import type { Errno, Fd, Sys, TimerId } from "../sys/sys.d.ts";

/** Bytes that wait for the peer from which on write() says "enough", and below which drained() comes. */
const highMarkBytes = 8 << 10;
const lowMarkBytes = 2 << 10;
/** What an array in the queue costs beside its bytes. */
const arrayBytes = 256;

/**
 * A size for the buffer that all connections of a process read into. It is read once in a turn of the loop: what fits into it
 * is a hundred requests, and with hundreds of busy peers each waits for that many of everybody else's.
 */
export const readBufferBytes = 8 << 10;

/** The timers that ttrpc needs. */
export function timersOf(sys: Sys): Timers {
  return {
    start: (ms, fn) => sys.timerStart(ms, fn),
    stop: (timer) => sys.timerStop(timer as TimerId),
  };
}

export class SocketTransport implements Transport {
  readonly #sys: Sys;
  readonly #fd: Fd;
  readonly #buffer: Uint8Array;
  readonly #onData: (() => void) | undefined;
  readonly #beforeWrite: () => void;
  #events: TransportEvents | undefined;
  readonly #queue: Uint8Array[] = [];
  /** How much of the queue's first array is out already. */
  #sentOfFirst = 0;
  #queuedBytes = 0;
  #toldFull = false;
  /** What the loop has been told to wait for. */
  #watched = 0;
  #paused = false;
  #closing = false;
  #open = true;

  /**
   * @param takeFd a connected, non-blocking socket.
   * @param buffer what is read goes through this; many transports may share one.
   * @param onData called whenever something has been read.
   * @param beforeWrite called before anything goes out.
   */
  constructor(sys: Sys, takeFd: Fd, buffer: Uint8Array, onData?: () => void, beforeWrite?: () => void) {
    this.#sys = sys;
    this.#fd = takeFd;
    this.#buffer = buffer;
    this.#beforeWrite = beforeWrite ?? (() => undefined);
    this.#onData = onData;
  }

  start(events: TransportEvents): void {
    this.#events = events;
    if (!this.#open) {
      void Promise.resolve().then(() => events.closed(undefined));
      return;
    }
    this.#watched = this.#wanted();
    const status = this.#sys.pollStart(this.#fd, this.#watched, (ready) => this.#ready(ready));
    if (isErrno(status)) this.#end(failure("watch a connection", status));
  }

  write(bytes: Uint8Array): boolean {
    // What is written to a connection that is over is of no interest: closed() says so.
    if (!this.#open || this.#closing) return true;
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length + arrayBytes;
    if (this.#queue.length === 1) this.#send();
    this.#toldFull ||= this.#queuedBytes > highMarkBytes;
    return !this.#toldFull;
  }

  /** Goes on, once started, with a connection of an image before: its unsent bytes go first, and bytes are taken as if they had just come. */
  replay(unsent: Uint8Array, received: readonly Uint8Array[]): void {
    if (unsent.length > 0) this.write(unsent);
    for (const bytes of received) if (this.#open) this.#events?.data(bytes);
  }

  pause(): void {
    this.#paused = true;
    this.#watch();
  }

  resume(): void {
    this.#paused = false;
    this.#watch();
  }

  close(): void {
    this.#closing = true;
    if (this.#queue.length === 0) this.#end(undefined);
  }

  destroy(): void {
    this.#end(undefined);
  }

  #wanted(): number {
    return (this.#paused ? 0 : POLLIN) | (this.#queue.length > 0 ? POLLOUT : 0);
  }

  #watch(): void {
    if (!this.#open || this.#events === undefined) return;
    const wanted = this.#wanted();
    if (wanted === this.#watched) return;
    this.#watched = wanted;
    this.#sys.pollChange(this.#fd, wanted);
  }

  #ready(ready: number): void {
    if ((ready & POLLOUT) !== 0) this.#send();
    // Also when only a hang-up is reported: the read tells how the connection ended.
    if ((ready & ~POLLOUT) !== 0) this.#receive();
  }

  #receive(): void {
    if (!this.#open || this.#paused) return;
    const count = this.#sys.read(this.#fd, this.#buffer, 0, this.#buffer.length);
    if (count === EAGAIN || count === EINTR) return;
    if (isErrno(count)) return this.#end(failure("read from a connection", count));
    if (count === 0) return this.#end(undefined);
    this.#onData?.();
    this.#events?.data(this.#buffer.subarray(0, count));
  }

  #send(): void {
    this.#beforeWrite();
    while (this.#open) {
      const first = this.#queue[0];
      if (first === undefined) break;
      const count = this.#sys.write(this.#fd, first, this.#sentOfFirst, first.length - this.#sentOfFirst);
      if (count === EINTR) continue;
      if (count === EAGAIN) break;
      if (isErrno(count)) return this.#end(failure("write to a connection", count));
      this.#queuedBytes -= count;
      this.#sentOfFirst += count;
      if (this.#sentOfFirst < first.length) continue;
      this.#queue.shift();
      this.#queuedBytes -= arrayBytes;
      this.#sentOfFirst = 0;
    }
    if (this.#queue.length === 0 && this.#closing) return this.#end(undefined);
    this.#watch();
    if (!this.#toldFull || this.#queuedBytes > lowMarkBytes) return;
    this.#toldFull = false;
    this.#events?.drained();
  }

  /** Only the first end counts. The owner is told from a job of its own, never from within its own call. */
  #end(error: MoorError | undefined): void {
    if (!this.#open) return;
    this.#open = false;
    this.#queue.length = 0;
    this.#queuedBytes = 0;
    // -ENOENT: it was never watched.
    this.#sys.pollStop(this.#fd);
    this.#sys.close(this.#fd);
    void Promise.resolve().then(() => this.#events?.closed(error));
  }
}

function failure(what: string, errno: Errno): MoorError {
  return new MoorError("unavailable", `${what}: ${errnoName(errno)}`, { errno });
}
