// A connection whose peer is a script, and timers that go off when the target says so: what ttrpc's two ends need to be
// run without a kernel, in any engine.

import type { Timers, Transport, TransportEvents } from "ttrpc";
import { mixedBytes } from "./run.ts";

export class ScriptedTransport implements Transport {
  isPaused = false;
  isClosed = false;
  /** Of what was written. */
  digest = 0;
  writtenBytes = 0;
  /** From so many untaken bytes on write() says false. */
  readonly #highMarkBytes: number;
  #untakenBytes = 0;
  #wasFull = false;
  #events: TransportEvents | undefined;

  constructor(highMarkBytes: number) {
    this.#highMarkBytes = highMarkBytes;
  }

  start(events: TransportEvents): void {
    this.#events = events;
  }

  write(bytes: Uint8Array): boolean {
    if (this.isClosed) return true;
    this.digest = mixedBytes(this.digest, bytes);
    this.writtenBytes += bytes.length;
    this.#untakenBytes += bytes.length;
    this.#wasFull ||= this.#untakenBytes > this.#highMarkBytes;
    return !this.#wasFull;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  close(): void {
    this.hangUp();
  }

  destroy(): void {
    this.hangUp();
  }

  /** The peer sends; the array is spoilt afterwards, so that whoever keeps a view of it is found out. */
  feed(bytes: Uint8Array): void {
    if (this.isClosed) return;
    const lent = bytes.slice();
    this.#events?.data(lent);
    lent.fill(0xee);
  }

  /** The peer takes all that was written. */
  take(): void {
    this.#untakenBytes = 0;
    if (!this.#wasFull || this.isClosed) return;
    this.#wasFull = false;
    this.#events?.drained();
  }

  hangUp(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    void Promise.resolve().then(() => this.#events?.closed(undefined));
  }
}

interface Timer {
  readonly atMs: number;
  readonly fn: () => void;
}

export class ScriptedTimers implements Timers {
  readonly pending = new Set<Timer>();
  #nowMs = 0;

  start(ms: number, fn: () => void): unknown {
    const timer = { atMs: this.#nowMs + ms, fn };
    this.pending.add(timer);
    return timer;
  }

  stop(timer: unknown): void {
    this.pending.delete(timer as Timer);
  }

  /** What is due by then goes off, in order. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      let due: Timer | undefined;
      for (const each of this.pending) {
        if (each.atMs <= untilMs && (due === undefined || each.atMs < due.atMs)) due = each;
      }
      if (due === undefined) break;
      this.pending.delete(due);
      this.#nowMs = due.atMs;
      due.fn();
    }
    this.#nowMs = untilMs;
  }
}

/** Lets the promises that are under way get on. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await Promise.resolve();
}
