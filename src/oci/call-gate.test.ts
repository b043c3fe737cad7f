import assert from "node:assert/strict";
import { test } from "node:test";
import type { Sys, TimerId } from "../sys/sys.d.ts";
import { CallGate, callsAtOnce, countedForMs } from "./call-gate.ts";

/** A clock that the test moves. */
function clock() {
  let nowMs = 0;
  const timers = new Map<number, { atMs: number; fn: () => void }>();
  const sys = {
    monotonicMs: () => nowMs,
    timerStart: (ms: number, fn: () => void) => {
      const id = timers.size + 1 + nowMs;
      timers.set(id, { atMs: nowMs + ms, fn });
      return id as TimerId;
    },
    timerStop: (id: TimerId) => void timers.delete(id),
  } as unknown as Sys;
  const pass = async (ms: number): Promise<void> => {
    nowMs += ms;
    for (const [id, timer] of [...timers]) if (timer.atMs <= nowMs && timers.delete(id)) timer.fn();
    await turn();
  };
  return { sys, pass, timers };
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Starts `count` calls; each ends when the test says so. */
function start(gate: CallGate, count: number) {
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const over = Array.from({ length: count }, (_, index) =>
    gate.run(() => {
      begun.push(index);
      return new Promise<number>((resolve) => {
        ends[index] = () => resolve(index);
      });
    }),
  );
  return { begun, end: (index: number) => ends[index]?.(), over };
}

test("CallGate: only so many run at once, the next begins when one ends, in order", async () => {
  const { sys, timers } = clock();
  const { begun, end, over } = start(new CallGate(sys), callsAtOnce + 3);
  await turn();
  assert.equal(begun.length, callsAtOnce);
  end(5);
  await turn();
  assert.deepEqual(begun.slice(callsAtOnce), [callsAtOnce]);
  for (let index = 0; index < callsAtOnce + 3; index++) {
    end(index);
    await turn();
  }
  assert.deepEqual(
    await Promise.all(over),
    over.map((_, index) => index),
  );
  assert.equal(timers.size, 0);
});

test("CallGate: calls that hang hold up the others for a moment only", async () => {
  const { sys, pass, timers } = clock();
  const gate = new CallGate(sys);
  const hung = start(gate, callsAtOnce);
  await turn();
  const later = start(gate, callsAtOnce + 1);
  await turn();
  assert.equal(later.begun.length, 0);
  await pass(countedForMs);
  assert.equal(later.begun.length, callsAtOnce);
  for (let index = 0; index < callsAtOnce; index++) hung.end(index);
  await turn();
  assert.equal(later.begun.length, callsAtOnce, "those that did not count any more give no place back");
  later.end(0);
  await turn();
  assert.equal(later.begun.length, callsAtOnce + 1);
  for (let index = 0; index <= callsAtOnce; index++) later.end(index);
  await Promise.all(later.over);
  assert.equal(timers.size, 0);
});

test("CallGate: a call that fails gives its place back", async () => {
  const { sys } = clock();
  const gate = new CallGate(sys);
  for (let count = 0; count < 3 * callsAtOnce; count++) {
    await assert.rejects(
      gate.run(() => Promise.reject(new Error("no"))),
      /no/,
    );
  }
});
