import assert from "node:assert/strict";
import { test } from "node:test";
import type { MoorError } from "../sys/error.ts";
import type { Sys, TimerId } from "../sys/sys.d.ts";
import { settledWithin, withDeadline } from "./deadline.ts";

function timers() {
  const pending = new Map<TimerId, () => void>();
  const sys = {
    timerStart: (ms: number, fn: () => void) => {
      assert.equal(ms, 50);
      const id = pending.size as TimerId;
      pending.set(id, fn);
      return id;
    },
    timerStop: (id: TimerId) => pending.delete(id),
  } as unknown as Sys;
  const pass = () => {
    for (const [id, fn] of pending) {
      pending.delete(id);
      fn();
    }
  };
  return { sys, pending, pass };
}

const never = new Promise<never>(() => undefined);

test("withDeadline: settles as the promise does and leaves no timer", async () => {
  const { sys, pending } = timers();
  assert.equal(await withDeadline(sys, 50, "it", Promise.resolve(3)), 3);
  const cause = new Error("why");
  await assert.rejects(withDeadline(sys, 50, "it", Promise.reject(cause)), cause);
  assert.equal(pending.size, 0);
});

test("withDeadline: after the time it ends what is late and rejects, whatever onLate throws", async () => {
  const { sys, pass } = timers();
  const calls: string[] = [];
  const late = withDeadline(sys, 50, "wait for x", never, () => calls.push("late"));
  pass();
  await assert.rejects(late, (thrown: MoorError) => {
    assert.equal(thrown.code, "deadline_exceeded");
    assert.equal(thrown.message, "wait for x: no end within 50 ms");
    return true;
  });
  assert.deepEqual(calls, ["late"]);
  const worse = withDeadline(sys, 50, "it", never, () => {
    throw new Error("also");
  });
  assert.throws(pass, /also/);
  await assert.rejects(worse, /no end within/);
});

test("settledWithin: true for either way of being settled, false when it takes longer", async () => {
  const { sys, pending, pass } = timers();
  assert.equal(await settledWithin(sys, 50, Promise.resolve()), true);
  assert.equal(await settledWithin(sys, 50, Promise.reject(new Error("no"))), true);
  assert.equal(pending.size, 0);
  const late = settledWithin(sys, 50, never);
  pass();
  assert.equal(await late, false);
});
