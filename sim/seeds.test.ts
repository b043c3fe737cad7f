// Lives that once showed a bug: each seed with what was wrong then. When the simulation itself changes, a seed tells
// another story; what it found then has a test of its own or is found by other seeds.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { live } from "./life.ts";

const once: readonly (readonly [seed: number, bug: string])[] = [
  [54, "a pipe for the runtime's output was left open when it could not be watched"],
  [444, "execs outlived init where the runtime's kill --all could not be started"],
  [2622, "Delete of an exec whose start had failed told of an exit that no event had told of"],
  [17320, "an exec whose start took long was told after its container's exit"],
  [18801, "the same, and its exit too"],
  [2, "who waited for an exec that was deleted unstarted was never answered"],
  [202777, "a container half made stayed with the runtime when its cgroups could not be looked up"],
  [108347, "a read of the spool that was interrupted lost the events in it"],
  [985, "a kill of a container made from a checkpoint and not started said that it had ended, and Wait never answered"],
  [1657, "a container that a failing runtime had frozen all the same could not be killed (cgroup v1)"],
  [14876, "a slow pause was told after its container's deletion"],
  [106566, "an exec that started while its container's rest was being killed outlived it"],
  [29897, "a watch for out of memory that was made while a restore was under way stayed when that failed"],
  [31495, "a container whose cgroup could not be read at first could not be killed while it was frozen (cgroup v1)"],
];

suite("lives that once showed a bug", () => {
  for (const [seed, bug] of once) {
    test(`seed ${seed}: ${bug}`, async () => {
      const story = await live(seed, true);
      assert.equal(story.broken, undefined, story.log.join("\n"));
    });
  }
});

test("whoever sets the clock, back or forth, changes the times that are told and nothing else", async () => {
  let set = 0;
  for (let seed = 1; seed <= 400; seed++) {
    const [jumping, steady] = [await live(seed, false), await live(seed, false, false)];
    set += jumping.seen.get("clock set") ?? 0;
    const seen = new Map(jumping.seen);
    seen.delete("clock set");
    assert.deepEqual({ ...jumping, seen }, steady);
  }
  assert.ok(set > 100, `the clock was set ${set} times only`);
});

test("the same seed lives the same life, with its log and without", async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const [once, again, silent] = [await live(seed, true), await live(seed, true), await live(seed, false)];
    assert.deepEqual(once.log, again.log);
    assert.deepEqual({ ...silent, log: [] }, { ...once, log: [] });
  }
});
