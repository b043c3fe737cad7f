import assert from "node:assert/strict";
import { test } from "node:test";
import { explain } from "./explain.ts";
import type { Inspection } from "./inspection.ts";

const now = Date.parse("2026-01-02T03:04:05.000Z");
const base: Inspection = {
  id: "web",
  namespace: "n",
  bundle: "/b",
  owner: "moor",
  status: "stopped",
  pid: 7,
  exit: { status: 0, exitedAt: "2026-01-02T03:00:05.000000000Z" },
  shim: null,
  processes: [],
  cgroup: null,
  container: null,
  exits: null,
  run: null,
  spec: null,
  lacks: [],
};

test("explain: an end is told with its time, and as far as the record goes", () => {
  const gone = "Its shim is gone; this is what its record says.";
  assert.equal(
    explain(base, now),
    `web has ended with status 0 (success), at 2026-01-02T03:00:05.000000000Z (4 min ago). ${gone}`,
  );
  const asked = { signal: 15, at: "2026-01-02T03:00:03.500000000Z", pid: 42, uid: 0 };
  const exits = (cause: object) => ({ exits: { web: { pid: 7, status: 143, cause } } });
  const exit = { status: 143, exitedAt: "2026-01-02T03:00:05.000000000Z" };
  assert.equal(
    explain({ ...base, exit, exits: exits({ signal: 15, asked }) }, now),
    "web has ended with status 143: ended by SIGTERM, at 2026-01-02T03:00:05.000000000Z (4 min ago). " +
      `The shim had been asked for SIGTERM by process 42 of user 0, 1.5 s before. ${gone}`,
  );
  // Its own choice of a status: no signal has ended it.
  assert.match(
    explain({ ...base, exit, exits: exits({ asked }) }, now),
    /^web has ended with status 143, at .* asked for SIGTERM/,
  );
  // What was asked for an hour before is no cause.
  const long = { ...asked, at: "2026-01-02T02:00:00.000000000Z" };
  assert.match(
    explain({ ...base, exit, exits: exits({ signal: 15, asked: long }) }, now),
    /Nobody had asked|it came past/,
  );
  assert.match(
    explain({ ...base, exit, exits: exits({ signal: 9, outOfMemory: true }) }, now),
    /ended by SIGKILL, .* The kernel's out-of-memory killer had ended a process of it\. Its/,
  );
});

test("explain: what nobody knows is said to be so", () => {
  assert.equal(
    explain({ ...base, status: "unknown", exit: null }, now),
    "web is in a state that nobody knows: its shim is gone, and there is no record of its end.",
  );
  assert.match(explain({ ...base, status: "orphaned", exit: null }, now), /^web runs without a shim: /);
});

test("explain: a runtime that hangs, and a process that is stuck", () => {
  const container = {
    mountedRootfs: "",
    options: {},
    cgroup: {},
    processes: [],
    history: [{ time: "2026-01-02T03:04:00.000Z", exec: "", from: "running", to: "pausing", why: "pause" }],
    runtimeCalls: [{ time: "2026-01-02T03:04:00.000Z", operation: "pause", ms: null, result: "" }],
  };
  assert.equal(
    explain({ ...base, status: "pausing", exit: null, container }, now),
    "web is being paused. It has been so since 2026-01-02T03:04:00.000Z (5 s ago). " +
      "The runtime's pause has been under way since 2026-01-02T03:04:00.000Z (5 s ago).",
  );
  const init = {
    pid: 7,
    ppid: 1,
    name: "x",
    command: ["x", "-y"],
    state: "D",
    threads: 1,
    rssKb: 1,
    waitsIn: "nfs_wait",
    exec: "",
  };
  assert.match(
    explain({ ...base, status: "running", exit: null, processes: [init] }, now),
    /Its init, x -y \(process 7\), is stuck in the kernel, where no signal reaches it \(in nfs_wait\)\./,
  );
});
