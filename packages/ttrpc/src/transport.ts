// What this package needs of its surroundings: a byte stream with a peer, and timers. Any event loop can provide them;
// node.ts does so for Node.

export interface TransportEvents {
  /** Bytes have come. The array may be reused after the call. */
  data(bytes: Uint8Array): void;
  /** The write queue is short again; comes after each write() that returned false. */
  drained(): void;
  /** The connection is over, whoever ended it. Comes once, and last. */
  closed(error: Error | undefined): void;
}

/** One connection. No event is to come before start() has returned. */
export interface Transport {
  start(events: TransportEvents): void;
  /** Queues; the caller does not touch the array again. false: above the high mark, wait for drained(). */
  write(bytes: Uint8Array): boolean;
  /** Reading rests: no more data() until resume(). */
  pause(): void;
  resume(): void;
  /** Closes once what was queued is out. */
  close(): void;
  /** Closes at once. */
  destroy(): void;
}

export interface Timers {
  /** Calls fn once after ms (0 to 2^31 - 1); what it returns is for stop(). */
  start(ms: number, fn: () => void): unknown;
  stop(timer: unknown): void;
}

const longestTimerMs = 0x7fffffff;

/** A timer of any length, made of as many of the timers given as it takes. */
export class Deadline {
  readonly #timers: Timers;
  readonly #fn: () => void;
  #leftMs: number;
  #timer: unknown;

  constructor(timers: Timers, ms: number, fn: () => void) {
    this.#timers = timers;
    this.#fn = fn;
    this.#leftMs = ms;
    this.#next();
  }

  stop(): void {
    this.#timers.stop(this.#timer);
  }

  #next(): void {
    const ms = Math.min(this.#leftMs, longestTimerMs);
    this.#leftMs -= ms;
    this.#timer = this.#timers.start(ms, () => (this.#leftMs > 0 ? this.#next() : this.#fn()));
  }
}
