import assert from "node:assert/strict";
import { test } from "node:test";
import { EACCES, ENOENT } from "../sys/errno.ts";
import type { MoorError } from "../sys/error.ts";
import { SIGKILL, SIGTERM } from "../sys/flags.ts";
import type { Log } from "../sys/log.ts";
import type { Pid, SpawnRequest } from "../sys/sys.d.ts";
import { Kernel } from "./kernel.fixture.ts";
import { type Exit, Reaper } from "./reaper.ts";

const request: SpawnRequest = { file: "/bin/x", argv: ["x"], env: [], fds: [] };

function made(): { kernel: Kernel; reaper: Reaper; errors: string[] } {
  const kernel = new Kernel();
  const errors: string[] = [];
  const log: Log = {
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: (message, fields) => errors.push(`${message} ${String(fields?.["error"] ?? "")}`),
  };
  return { kernel, reaper: new Reaper(kernel.sys, log), errors };
}

function nothingLeft(kernel: Kernel, reaper: Reaper): void {
  assert.deepEqual(kernel.zombies, []);
  assert.equal(kernel.openPidfds.size, 0, "a pidfd is open");
  assert.deepEqual({ ...reaper.state(), orphans: 0 }, { owned: [], held: [], orphans: 0, announcements: 0 });
}

function codeIs(code: string, text: RegExp): (thrown: unknown) => boolean {
  return (thrown) => (thrown as MoorError).code === code && text.test((thrown as MoorError).message);
}

test("spawn: its exit comes to its owner while it is a zombie, and then it is reaped", async () => {
  const { kernel, reaper } = made();
  const seen: Exit[] = [];
  const owned = reaper.spawn(request, (exit) => {
    seen.push(exit);
    assert.deepEqual(kernel.zombies, [exit.pid]);
    assert.equal(owned.exit, exit);
  });
  reaper.childSignal();
  assert.equal(owned.exit, undefined);
  kernel.exit(owned.pid, 7);
  reaper.childSignal();
  assert.deepEqual(seen, [{ pid: owned.pid, status: 7, signal: 0, atNs: 1000n }]);
  assert.equal(await owned.exited, seen[0]);
  nothingLeft(kernel, reaper);
});

test("spawn: a process that has ended before spawn returns is told of by the next signal", () => {
  const { kernel, reaper } = made();
  const { spawn } = kernel.sys;
  const racing = new Proxy(kernel.sys, {
    get: (target, name) =>
      name === "spawn"
        ? (asked: SpawnRequest) => {
            const child = spawn(asked);
            if (typeof child === "object") kernel.exit(child.pid, 3);
            return child;
          }
        : target[name as "spawn"],
  });
  const raced = new Reaper(racing, { debug() {}, info() {}, warn() {}, error() {} });
  const owned = raced.spawn(request);
  assert.ok(kernel.childSignalPending);
  raced.childSignal();
  assert.equal(owned.exit?.status, 3);
  nothingLeft(kernel, reaper);
});

test("spawn: a failure names file and cause", () => {
  const { kernel, reaper } = made();
  kernel.spawnFails = ENOENT;
  assert.throws(() => reaper.spawn(request), codeIs("not_found", /^start \/bin\/x: ENOENT$/));
  kernel.spawnFails = EACCES;
  assert.throws(() => reaper.spawn(request), codeIs("unknown", /^start \/bin\/x: EACCES$/));
  nothingLeft(kernel, reaper);
});

test("exit: each status and each signal arrives as it is", () => {
  const { kernel, reaper } = made();
  for (let status = 0; status < 256; status++) {
    const owned = reaper.spawn(request);
    kernel.exit(owned.pid, status);
    reaper.childSignal();
    assert.deepEqual([owned.exit?.status, owned.exit?.signal], [status, 0]);
  }
  for (let signal = 1; signal <= 64; signal++) {
    const owned = reaper.spawn(request);
    kernel.killed(owned.pid, signal);
    reaper.childSignal();
    assert.deepEqual([owned.exit?.status, owned.exit?.signal], [128 + signal, signal]);
  }
  nothingLeft(kernel, reaper);
});

test("childSignal: one signal for many exits; every exit is known before anybody is called back", () => {
  const { kernel, reaper } = made();
  const known: boolean[] = [];
  const all = [1, 2, 3, 4, 5].map(() =>
    reaper.spawn(request, () => known.push(all.every(({ exit }) => exit !== undefined))),
  );
  for (const { pid } of all) kernel.exit(pid, 0);
  reaper.childSignal();
  assert.deepEqual(known, [true, true, true, true, true]);
  assert.equal(new Set(all.map(({ exit }) => exit?.atNs)).size, 1, "they were seen at one time");
  nothingLeft(kernel, reaper);
});

test("childSignal: a process that a callback starts and that ends at once is taken care of in the same sweep", () => {
  const { kernel, reaper } = made();
  const statuses: number[] = [];
  const start = (more: number): Pid =>
    reaper.spawn(request, (exit) => {
      statuses.push(exit.status);
      reaper.childSignal();
      if (more > 0) kernel.exit(start(more - 1), more);
    }).pid;
  kernel.exit(start(3), 9);
  reaper.childSignal();
  assert.deepEqual(statuses, [9, 3, 2, 1]);
  nothingLeft(kernel, reaper);
});

test("childSignal: a callback that throws costs nobody else's exit", async () => {
  const { kernel, reaper, errors } = made();
  const bad = reaper.spawn(request, () => {
    throw new Error("no luck");
  });
  const good = reaper.spawn(request);
  kernel.exit(bad.pid, 1);
  kernel.exit(good.pid, 2);
  reaper.childSignal();
  assert.equal((await bad.exited).status, 1);
  assert.equal((await good.exited).status, 2);
  assert.match(errors.join(), /^who waited for a process failed no luck/);
  nothingLeft(kernel, reaper);
});

test("orphans: nobody's exits are reaped and counted when no call is open", () => {
  const { kernel, reaper } = made();
  const owned = reaper.spawn(request);
  for (const pid of [kernel.abandoned().pid, kernel.abandoned().pid, kernel.abandoned().pid]) kernel.exit(pid, 0);
  kernel.exit(owned.pid, 4);
  reaper.childSignal();
  assert.equal(owned.exit?.status, 4);
  assert.equal(reaper.state().orphans, 3);
  nothingLeft(kernel, reaper);
});

test("claim: a living process that a runtime left behind is ours from then on", () => {
  const { kernel, reaper } = made();
  const announcement = reaper.announce();
  const pid = kernel.abandoned().pid;
  const seen: number[] = [];
  const owned = announcement.claim(pid, (exit) => seen.push(exit.status));
  announcement.end();
  assert.equal(owned.signal(SIGTERM), true);
  kernel.exit(pid, 5);
  reaper.childSignal();
  assert.deepEqual(seen, [5]);
  nothingLeft(kernel, reaper);
});

test("claim: a process that has ended already is handed over within the call, as a zombie", async () => {
  const { kernel, reaper } = made();
  const announcement = reaper.announce();
  const pid = kernel.abandoned().pid;
  kernel.exit(pid, 6);
  reaper.childSignal();
  assert.deepEqual(reaper.state().held, [pid]);
  const seen: number[] = [];
  const owned = announcement.claim(pid, (exit) => {
    seen.push(exit.status);
    assert.deepEqual(kernel.zombies, [pid]);
  });
  assert.deepEqual(seen, [6]);
  assert.equal((await owned.exited).status, 6);
  assert.deepEqual(kernel.zombies, []);
  announcement.end();
  assert.equal(reaper.state().orphans, 0);
  nothingLeft(kernel, reaper);
});

test("claim: also before any signal told of its end", () => {
  const { kernel, reaper } = made();
  const announcement = reaper.announce();
  const pid = kernel.abandoned().pid;
  kernel.killed(pid, SIGKILL);
  assert.equal(announcement.claim(pid).exit?.status, 137);
  reaper.childSignal();
  announcement.end();
  nothingLeft(kernel, reaper);
});

test("claim: refused for a stranger, for what has an owner, and after the end of the announcement", () => {
  const { kernel, reaper } = made();
  const announcement = reaper.announce();
  const foreign = kernel.fork(99 as Pid);
  assert.ok(foreign !== undefined);
  assert.throws(() => announcement.claim(foreign.pid), codeIs("failed_precondition", /no child of ours/));
  assert.throws(() => announcement.claim(29 as Pid), codeIs("failed_precondition", /no child of ours/));
  const owned = reaper.spawn(request);
  assert.throws(() => announcement.claim(owned.pid), codeIs("failed_precondition", /has an owner/));
  const pid = kernel.abandoned().pid;
  announcement.end();
  assert.throws(() => announcement.claim(pid), codeIs("failed_precondition", /is over/));
  kernel.exit(pid, 0);
  kernel.exit(owned.pid, 0);
  reaper.childSignal();
  nothingLeft(kernel, reaper);
});

test("hold: until the last announcement that was open when the exit was seen has ended; later ones do not count", () => {
  const { kernel, reaper } = made();
  const first = reaper.announce();
  const second = reaper.announce();
  const pid = kernel.abandoned().pid;
  kernel.exit(pid, 0);
  reaper.childSignal();
  const third = reaper.announce();
  first.end();
  first.end();
  assert.deepEqual(reaper.state().held, [pid]);
  second.end();
  assert.deepEqual(reaper.state(), { owned: [], held: [], orphans: 1, announcements: 1 });
  third.end();
  nothingLeft(kernel, reaper);
});

for (const hasChildrenFiles of [true, false]) {
  test(`hold: who stands behind a held zombie is seen, ${hasChildrenFiles ? "with" : "without"} a list of children`, () => {
    const { kernel, reaper } = made();
    kernel.hasChildrenFiles = hasChildrenFiles;
    const announcement = reaper.announce();
    const front = kernel.abandoned().pid;
    kernel.exit(front, 0);
    reaper.childSignal();
    assert.deepEqual(reaper.state().held, [front]);

    const owned = reaper.spawn(request);
    const behind = kernel.abandoned().pid;
    kernel.exit(behind, 8);
    kernel.exit(owned.pid, 1);
    reaper.childSignal();
    assert.equal(owned.exit?.status, 1, "the owned one behind it");
    assert.deepEqual(reaper.state().held, hasChildrenFiles ? [front, behind] : [front]);

    assert.equal(announcement.claim(behind).exit?.status, 8);
    const last = kernel.abandoned().pid;
    kernel.exit(last, 0);
    reaper.childSignal();
    announcement.end();
    assert.equal(reaper.state().orphans, 2);
    nothingLeft(kernel, reaper);
  });
}

test("hold: a pid cannot be taken while its zombie is held", () => {
  const { kernel, reaper } = made();
  const announcement = reaper.announce();
  const pid = kernel.abandoned().pid;
  kernel.exit(pid, 0);
  reaper.childSignal();
  kernel.setNextPid(pid);
  const other = reaper.spawn(request);
  assert.notEqual(other.pid, pid);
  announcement.end();
  kernel.setNextPid(pid);
  const next = reaper.spawn(request);
  assert.equal(next.pid, pid);
  for (const each of [other, next]) kernel.exit(each.pid, 0);
  reaper.childSignal();
  nothingLeft(kernel, reaper);
});

test("signal: nothing is sent to a zombie, in a callback, or after the reap, not even when the pid has a new process", () => {
  const { kernel, reaper } = made();
  const inCallback: boolean[] = [];
  const old = reaper.spawn(request, () => inCallback.push(old.signal(SIGKILL)));
  kernel.exit(old.pid, 0);
  assert.equal(old.signal(SIGKILL), false);
  reaper.childSignal();
  assert.deepEqual(inCallback, [false]);
  kernel.setNextPid(old.pid);
  const fresh = reaper.spawn(request);
  assert.equal(fresh.pid, old.pid);
  assert.equal(old.signal(SIGKILL), false);
  assert.deepEqual(kernel.kills, []);
  assert.equal(fresh.signal(SIGKILL), true);
  reaper.childSignal();
  assert.deepEqual([old.exit?.status, fresh.exit?.status], [0, 137]);
  nothingLeft(kernel, reaper);
});

test("signal: a number that is no signal is an error, not a dead process", () => {
  const { kernel, reaper } = made();
  const owned = reaper.spawn(request);
  assert.throws(() => owned.signal(65), codeIs("invalid_argument", /^signal 65 to process \d+: EINVAL$/));
  kernel.exit(owned.pid, 0);
  reaper.childSignal();
});

test("callbacks: may claim, end announcements and be swept again, in the middle of a sweep", () => {
  const { kernel, reaper } = made();
  const announcement = reaper.announce();
  const other = reaper.announce();
  const container = kernel.abandoned().pid;
  const stray = kernel.abandoned().pid;
  const exits: string[] = [];
  const runtime = reaper.spawn(request, () => {
    exits.push("runtime");
    announcement.claim(container, (exit) => {
      exits.push(`container ${exit.status}`);
      reaper.childSignal();
      announcement.end();
      other.end();
    });
  });
  for (const [pid, status] of [
    [container, 11],
    [stray, 12],
    [runtime.pid, 0],
  ] as const) {
    kernel.exit(pid, status);
  }
  reaper.childSignal();
  assert.deepEqual(exits, ["runtime", "container 11"]);
  assert.equal(reaper.state().orphans, 1);
  nothingLeft(kernel, reaper);
});

test("a child that somebody else has waited for is not waited for for ever", async () => {
  const { kernel, reaper, errors } = made();
  const lost = reaper.spawn(request);
  const other = reaper.spawn(request);
  kernel.exit(lost.pid, 0);
  kernel.steal(lost.pid);
  assert.equal(lost.signal(SIGKILL), false);
  kernel.exit(other.pid, 0);
  reaper.childSignal();
  assert.equal((await lost.exited).status, 255);
  assert.match(errors.join(), /nobody knows how it ended/);
  assert.deepEqual(kernel.kills, []);
  nothingLeft(kernel, reaper);
});

test("adopt: a child of an image before is ours again, alive or a zombie", async () => {
  const { kernel, reaper } = made();
  const living = kernel.fork();
  const zombie = kernel.fork();
  assert.ok(living !== undefined && zombie !== undefined);
  kernel.exit(zombie.pid, 3);
  const seen: Exit[] = [];
  const owned = reaper.adopt(living.pid, (exit) => seen.push(exit));
  const ended = reaper.adopt(zombie.pid, (exit) => seen.push(exit));
  assert.deepEqual(seen, [], "its exit is looked for with the others");
  reaper.childSignal();
  assert.equal((await ended.exited).status, 3);
  kernel.exit(living.pid, 4);
  reaper.childSignal();
  assert.equal((await owned.exited).status, 4);
  assert.deepEqual(
    seen.map(({ status }) => status),
    [3, 4],
  );
  nothingLeft(kernel, reaper);
});

test("adopt: one that was reaped in the turn that was cut short has its exit, and its pid is nobody's", () => {
  const { kernel, reaper } = made();
  const seen: Exit[] = [];
  const reaped = { pid: 9 as Pid, code: 2, status: 15 };
  const owned = reaper.adopt(reaped.pid, (exit) => seen.push(exit), reaped);
  assert.deepEqual(
    seen.map(({ status, signal }) => [status, signal]),
    [[143, 15]],
  );
  assert.equal(owned.signal(9), false);
  assert.deepEqual(kernel.kills, []);
  nothingLeft(kernel, reaper);
});

test("spawn: what has changed is written down before", () => {
  const { kernel } = made();
  const order: string[] = [];
  const { spawn } = kernel.sys;
  const noting = (asked: SpawnRequest): ReturnType<typeof spawn> => {
    order.push("spawn");
    return spawn(asked);
  };
  const sys = new Proxy(kernel.sys, {
    get: (target, name) => (name === "spawn" ? noting : target[name as keyof typeof target]),
  });
  const log = {} as Log;
  new Reaper(sys, log, () => order.push("before")).spawn(request);
  assert.deepEqual(order, ["before", "spawn"]);
});
