// Timers that go off when a test says so.

import type { Timers } from "./transport.ts";

interface FakeTimer {
  readonly atMs: number;
  readonly fn: () => void;
}

export class FakeTimers implements Timers {
  nowMs = 0;
  readonly pending = new Set<FakeTimer>();

  start(ms: number, fn: () => void): unknown {
    const timer = { atMs: this.nowMs + ms, fn };
    this.pending.add(timer);
    return timer;
  }

  stop(timer: unknown): void {
    this.pending.delete(timer as FakeTimer);
  }

  /** Lets time pass; what is due goes off in order. */
  advance(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const due = [...this.pending].filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.pending.delete(due);
      this.nowMs = due.atMs;
      due.fn();
    }
    this.nowMs = untilMs;
  }
}
