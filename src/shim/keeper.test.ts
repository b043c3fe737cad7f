// Parts of the shim's state: written when they have changed, once, before anything follows, and gone when they are removed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ENOMEM } from "../sys/errno.ts";
import type { KeptHandle, Sys } from "../sys/sys.d.ts";
import { Keeper, keepsNothing, unkept } from "./keeper.ts";
import { keptEvent, KeptEvents } from "./kept-events.ts";

/** A kernel that keeps; `records` is what another image would find. */
class Kept {
  readonly records = new Map<number, string>();
  touched = 0;
  isFull = false;
  #last = 0;
  readonly said: string[] = [];
  readonly sys = {
    keepStart: () => 0,
    keepTouch: () => void this.touched++,
    keep: (bytes: Uint8Array, replaces: KeptHandle) => {
      if (this.isFull) return ENOMEM;
      this.records.delete(replaces);
      this.records.set(++this.#last, Buffer.from(bytes).toString("latin1"));
      return this.#last as KeptHandle;
    },
    keepDrop: (handle: KeptHandle) => void this.records.delete(handle),
    encodeUtf8: (text: string) => new TextEncoder().encode(text),
  } as unknown as Sys;
  readonly keeper: Keeper;

  constructor() {
    const say = (message: string): void => void this.said.push(message);
    this.keeper = new Keeper(this.sys, { debug: say, info: say, warn: say, error: say });
    this.keeper.begin();
  }

  get texts(): string[] {
    return [...this.records.values()];
  }
}

test("Keeper: a part is written with the first changes, and anew when it is touched", () => {
  const kept = new Kept();
  let value = 1;
  const part = kept.keeper.part(() => ({ value }));
  assert.deepEqual(kept.texts, []);
  assert.equal(kept.touched, 1);
  kept.keeper.flush();
  assert.deepEqual(kept.texts, ['{"value":1}']);
  value = 2;
  kept.keeper.flush();
  assert.deepEqual(kept.texts, ['{"value":1}'], "nobody has said that it has changed");
  part.touch();
  part.touch();
  assert.equal(kept.touched, 2, "the end of the turn is asked for once");
  kept.keeper.flush();
  assert.deepEqual(kept.texts, ['{"value":2}']);
});

test("Keeper: a part that is removed goes with the next changes, and is not written again", () => {
  const kept = new Kept();
  const part = kept.keeper.part(() => "here");
  kept.keeper.flush();
  part.remove();
  assert.deepEqual(kept.texts, ['"here"'], "its end is told later");
  part.touch();
  kept.keeper.flush();
  assert.deepEqual(kept.texts, []);
});

test("Keeper: without memory the old record stays, and that is said once", () => {
  const kept = new Kept();
  let value = "old";
  const part = kept.keeper.part(() => value);
  kept.keeper.flush();
  kept.isFull = true;
  value = "new";
  for (let round = 0; round < 2; round++) {
    part.touch();
    kept.keeper.flush();
  }
  assert.deepEqual(kept.texts, ['"old"']);
  assert.deepEqual(kept.said, ["what a crash would leave is out of date"]);
});

test("keepsNothing: its parts are nobody's", () => {
  assert.equal(
    keepsNothing.part(() => assert.fail("it is not written")),
    unkept,
  );
});

test("KeptEvents: an event is a record from the moment it is published, with what it tells of, until it is dropped", () => {
  const kept = new Kept();
  const events = new KeptEvents(kept.sys, kept.keeper);
  kept.keeper.part(() => "state");
  const event = events.add(Uint8Array.of(7, 8), false);
  assert.deepEqual(kept.texts, ["\u0001\u0007\u0008", '"state"']);
  events.drop(event);
  assert.deepEqual(kept.texts, ['"state"']);
});

test("KeptEvents: records are told apart: of the queue, behind the spool, and others", () => {
  const record = (bytes: Uint8Array) => keptEvent({ handle: 5 as KeptHandle, number: 1, bytes });
  assert.deepEqual(record(Uint8Array.of(1, 9)), { event: { request: Uint8Array.of(9), handle: 5 }, waits: false });
  assert.equal(record(Uint8Array.of(2, 9))?.waits, true);
  assert.equal(record(new TextEncoder().encode('{"kind":"shim"}')), undefined);
  assert.equal(record(new Uint8Array()), undefined);
});

test("KeptEvents: the spool is a part from its first change on, written at once", () => {
  const kept = new Kept();
  const events = new KeptEvents(kept.sys, kept.keeper);
  events.spoolChanged(() => ({ fd: undefined, start: 0, end: 10, count: 1 }));
  events.spoolChanged(() => ({ fd: undefined, start: 4, end: 10, count: 0 }));
  assert.deepEqual(kept.texts, ['{"kind":"spool","start":4,"end":10,"count":0}']);
});
