import assert from "node:assert/strict";
import { test } from "node:test";
import { SIGKILL } from "../sys/flags.ts";
import type { Log } from "../sys/log.ts";
import type { SpawnRequest } from "../sys/sys.d.ts";
import { Kernel } from "./kernel.fixture.ts";
import { Reaper } from "./reaper.ts";

const request: SpawnRequest = { file: "/bin/x", argv: ["x"], env: [], fds: [] };

function made(): { kernel: Kernel; reaper: Reaper } {
  const kernel = new Kernel();
  const silent = (): void => undefined;
  const log: Log = { debug: silent, info: silent, warn: silent, error: (message) => assert.fail(message) };
  return { kernel, reaper: new Reaper(kernel.sys, log) };
}

test("strays: killed when no call that was under way can claim them, and never what is owned, claimed, reaped or younger", () => {
  const { kernel, reaper } = made();
  const owned = reaper.spawn(request);
  const [failed, other] = [reaper.announce(), reaper.announce()];
  const stray = kernel.abandoned().pid;
  const claimed = kernel.abandoned().pid;
  const unmeant = kernel.abandoned().pid;
  const ended = kernel.abandoned().pid;
  reaper.childSignal();
  failed.endStrays((pid) => pid !== unmeant);
  failed.end();
  assert.equal(kernel.kills.length, 0, "the other call may still tell of each");
  other.claim(claimed);
  kernel.exit(ended, 0);
  reaper.childSignal();
  const younger = reaper.announce();
  const young = kernel.abandoned().pid;
  other.end();
  const killed = kernel.kills.map(([target, signal]) => [target?.pid, signal]);
  assert.deepEqual(killed, [[stray, SIGKILL]]);
  reaper.childSignal();
  younger.end();
  for (const pid of [owned.pid, claimed, unmeant, young]) kernel.exit(pid, 0);
  reaper.childSignal();
  assert.deepEqual([kernel.zombies, reaper.state().owned, reaper.state().held], [[], [], []]);
});

test("strays: one that was reaped is none any more, whoever has its pid now", () => {
  const { kernel, reaper } = made();
  const [failed, other] = [reaper.announce(), reaper.announce()];
  const stray = kernel.abandoned().pid;
  failed.endStrays(() => true);
  failed.end();
  const claimed = other.claim(stray);
  kernel.exit(stray, 0);
  reaper.childSignal();
  assert.equal(claimed.exit?.status, 0);
  kernel.setNextPid(stray);
  assert.equal(reaper.spawn(request).pid, stray);
  other.end();
  assert.deepEqual(kernel.kills, []);
  kernel.exit(stray, 0);
  reaper.childSignal();
  assert.deepEqual([kernel.zombies, reaper.state().owned, reaper.state().held], [[], [], []]);
});
