import assert from "node:assert/strict";
import { test } from "node:test";
import type { Sys } from "../sys/sys.d.ts";
import { emptyPatienceMs, IdleWatch } from "./idle-watch.ts";

function made() {
  const timers = new Map<number, { atMs: number; fn: () => void }>();
  const state = { nowMs: 0, empty: true, abandoned: 0, usedBytes: 1_000_000, collections: 0 };
  let next = 1;
  const sys = {
    monotonicMs: () => state.nowMs,
    timerStart: (ms: number, fn: () => void) => {
      timers.set(next, { atMs: state.nowMs + ms, fn });
      return next++;
    },
    timerStop: (id: number) => timers.delete(id),
    heap: () => ({ usedBytes: state.usedBytes, limitBytes: 0 }),
    collectGarbage: () => {
      state.collections++;
      state.usedBytes = 500_000;
    },
  } as unknown as Sys;
  const watch = new IdleWatch({ sys, isEmpty: () => state.empty, onAbandoned: () => state.abandoned++ });
  const passTo = (ms: number): void => {
    for (;;) {
      const due = [...timers].filter(([, timer]) => timer.atMs <= ms).sort((a, b) => a[1].atMs - b[1].atMs)[0];
      if (due === undefined) break;
      timers.delete(due[0]);
      state.nowMs = due[1].atMs;
      due[1].fn();
    }
    state.nowMs = ms;
  };
  return { state, watch, passTo, timers };
}

test("IdleWatch: abandoned after a minute without anything, not a moment earlier", () => {
  const { state, watch, passTo } = made();
  watch.changed();
  passTo(emptyPatienceMs - 1);
  watch.changed();
  assert.equal(state.abandoned, 0);
  passTo(emptyPatienceMs);
  assert.equal(state.abandoned, 1);
});

test("IdleWatch: a client or container starts the minute anew", () => {
  const { state, watch, passTo, timers } = made();
  watch.changed();
  passTo(50_000);
  state.empty = false;
  watch.changed();
  assert.equal(timers.size, 0, "nothing to wake up for");
  passTo(200_000);
  state.empty = true;
  watch.changed();
  passTo(200_000 + emptyPatienceMs - 1);
  assert.equal(state.abandoned, 0);
  passTo(200_000 + emptyPatienceMs);
  assert.equal(state.abandoned, 1);
});

test("IdleWatch: memory is given back once after a burst, with one timer, and only when it has grown", () => {
  const { state, watch, passTo, timers } = made();
  for (let ms = 0; ms < 3_000; ms += 10) {
    passTo(ms);
    watch.worked();
    assert.equal(timers.size, 1);
  }
  assert.equal(state.collections, 0);
  passTo(10_000);
  assert.equal(state.collections, 1);
  assert.equal(timers.size, 0, "no wake-up without work");
  watch.worked();
  passTo(20_000);
  assert.equal(state.collections, 1);
  state.usedBytes = 600_000;
  watch.worked();
  passTo(30_000);
  assert.equal(state.collections, 2);
});
