import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { EIO, ENOENT } from "../sys/errno.ts";
import { grpcCodes } from "../sys/error.ts";
import { type EventSink, Publisher } from "./publisher.ts";
import { SmallSystem } from "./small-system.fixture.ts";
import { readRecords } from "./spool.ts";

const spoolPath = "/b/events";

/** A daemon's event service, as its connections show it. */
class Daemon {
  readonly received: string[] = [];
  present = true;
  /** Answers for the next requests, before all other things; undefined takes it. */
  readonly answers: (Error | undefined)[] = [];
  connections = 0;
  open = 0;
  /** Requests wait for release(). */
  slow = false;
  underWay = 0;
  readonly #waiting: (() => void)[] = [];

  connect = (): EventSink => {
    if (!this.present) throw new Error("connect: ECONNREFUSED");
    this.connections++;
    this.open++;
    let isOpen = true;
    return {
      forward: async (request, timeoutMs) => {
        assert.equal(timeoutMs, 5_000);
        assert.equal(++this.underWay, 1, "one at a time");
        if (this.slow) await new Promise<void>((resolve) => this.#waiting.push(resolve));
        else await Promise.resolve();
        this.underWay--;
        if (!this.present || !isOpen) throw coded(grpcCodes.unavailable, "connection closed");
        const answer = this.answers.shift();
        if (answer !== undefined) throw answer;
        this.received.push(new TextDecoder().decode(request));
      },
      close: () => {
        isOpen = false;
        this.open--;
      },
    };
  };

  release(): void {
    for (const go of this.#waiting.splice(0)) go();
  }
}

function coded(code: number, message: string): Error {
  return Object.assign(new Error(message), { code });
}

function made(memoryLimitBytes = 1000, awaitsReadersMs?: () => number) {
  const system = new SmallSystem();
  const daemon = new Daemon();
  const { sys, log } = system;
  const publisher = new Publisher({
    sys,
    log,
    connect: daemon.connect,
    spoolPath,
    memoryLimitBytes,
    ...(awaitsReadersMs && { awaitsReadersMs }),
  });
  const publish = (...texts: string[]) => {
    for (const text of texts) publisher.publish(new TextEncoder().encode(text));
  };
  return { system, daemon, publisher, publish };
}

/** Everything that can go on without a timer has gone on. */
function turns(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

const names = (count: number, prefix = "event") => Array.from({ length: count }, (_, index) => `${prefix}-${index}`);

test("publish: in order, one at a time, over one connection, and idle after that", async () => {
  const { daemon, publisher, publish, system } = made();
  publish(...names(10));
  await publisher.idle();
  publish("last");
  await publisher.idle();
  assert.deepEqual(daemon.received, [...names(10), "last"]);
  assert.equal(daemon.connections, 1);
  assert.deepEqual(publisher.state(), { undelivered: 0, spooled: 0, delivered: 11, refused: 0 });
  assert.equal(system.files.size, 0, "no file without need");
  publisher.close();
  assert.equal(daemon.open, 0);
});

test("publish: an event that comes in any turn of the last delivery's end is not forgotten", async () => {
  for (let turn = 0; turn < 12; turn++) {
    const { daemon, publisher, publish } = made();
    publish("first");
    for (let waited = 0; waited < turn; waited++) await Promise.resolve();
    publish("second");
    await turns();
    assert.deepEqual(daemon.received, ["first", "second"], `after ${turn} turns`);
    publisher.close();
  }
});

test("publish: a daemon that is away gets everything when it is back; one line says each", async () => {
  const { daemon, publisher, publish, system } = made();
  publish("a");
  await turns();
  daemon.present = false;
  publish("b", "c");
  const delays: number[] = [];
  for (let tries = 0; tries < 9; tries++) {
    await turns();
    assert.equal(system.timers.size, 1, "one timer");
    delays.push(...system.pass());
  }
  assert.deepEqual(delays, [20, 40, 80, 160, 320, 640, 1000, 1000, 1000]);
  await turns();
  assert.equal(publisher.undelivered, 2);
  daemon.present = true;
  publish("d");
  await turns();
  assert.deepEqual(daemon.received, ["a"], "tried again by the clock, not by each event");
  system.pass();
  await publisher.idle();
  assert.deepEqual(daemon.received, ["a", "b", "c", "d"]);
  assert.equal(daemon.connections, 2);
  assert.equal(system.timers.size, 0);
  assert.deepEqual(system.logged, [
    "warn: the daemon takes no events now; they are kept",
    "info: the daemon takes events again",
  ]);
});

test("publish: a daemon that is back gets what was kept once those who read its events may be back too", async () => {
  let restMs = 4000;
  const { daemon, publisher, publish, system } = made(1000, () => restMs);
  publish("a");
  await turns();
  assert.deepEqual(daemon.received, ["a"], "a daemon that was not away waits for nobody");
  daemon.present = false;
  publish("b");
  await turns();
  assert.deepEqual(system.pass(), [20]);
  daemon.present = true;
  restMs = 2500;
  await turns();
  publish("c");
  assert.deepEqual(system.pass(), [4000], "by what was left when it was tried");
  await turns();
  assert.deepEqual(daemon.received, ["a"]);
  restMs = 0;
  assert.deepEqual(system.pass(), [2500]);
  await turns();
  assert.deepEqual(daemon.received, ["a", "b", "c"]);
  publish("d");
  await turns();
  assert.deepEqual(daemon.received, ["a", "b", "c", "d"]);
  assert.deepEqual([publisher.undelivered, system.timers.size], [0, 0]);
});

test("publish: a shim that leaves waits for no readers", async () => {
  const { daemon, publisher, publish, system } = made(1000, () => 4000);
  daemon.present = false;
  publish("a");
  await turns();
  assert.deepEqual(system.pass(), [20]);
  daemon.present = true;
  await turns();
  const idle = publisher.idle();
  assert.deepEqual(system.pass(), [0], "in the place of the wait");
  await idle;
  assert.deepEqual(daemon.received, ["a"]);
});

test("publish: after an outage the delays begin anew", async () => {
  const { daemon, publisher, publish, system } = made();
  for (const name of ["a", "b"]) {
    daemon.present = false;
    publish(name);
    await turns();
    assert.deepEqual(system.pass(), [20]);
    await turns();
    daemon.present = true;
    assert.deepEqual(system.pass(), [40]);
    await publisher.idle();
  }
  assert.deepEqual(daemon.received, ["a", "b"]);
});

test("publish: each answer that means the way is sent again; any other drops the event, and says so", async () => {
  const again = ["unavailable", "deadline_exceeded", "canceled", "resource_exhausted"] as const;
  for (const [name, code] of Object.entries(grpcCodes)) {
    const { daemon, publisher, publish, system } = made();
    daemon.answers.push(coded(code, name));
    publish("a", "b");
    await turns();
    system.pass();
    await publisher.idle();
    const isSentAgain = (again as readonly string[]).includes(name);
    assert.deepEqual(daemon.received, isSentAgain ? ["a", "b"] : ["b"], name);
    assert.equal(publisher.state().refused, isSentAgain ? 0 : 1, name);
    const dropped = system.logged.filter((line) => line === "error: the daemon refused an event; it is dropped");
    assert.equal(dropped.length, isSentAgain ? 0 : 1, name);
  }
});

test("spool: past the memory limit events wait in a file, and come back in order", async () => {
  const { daemon, publisher, publish, system } = made(50);
  daemon.present = false;
  publish(...names(100));
  await turns();
  const { undelivered, spooled } = publisher.state();
  assert.equal(undelivered, 100);
  assert.ok(spooled >= 90, `${spooled} spooled`);
  assert.ok(system.files.has(spoolPath));
  daemon.present = true;
  daemon.slow = true;
  system.pass();
  for (let count = 0; count < 100; count++) {
    await turns();
    // Some of it while the spool is being emptied: behind what is there.
    if (count === 10 || count === 99) publish(`late-${count}`);
    daemon.release();
  }
  daemon.slow = false;
  await turns();
  daemon.release();
  await publisher.idle();
  assert.deepEqual(daemon.received, [...names(100), "late-10", "late-99"]);
  assert.equal(system.text(spoolPath), "", "emptied");
  publisher.close();
  assert.equal(system.openFds.size, 0);
});

test("spool: an event larger than the limit, alone", async () => {
  const { daemon, publisher, publish } = made(10);
  publish("x".repeat(100), "y");
  await publisher.idle();
  assert.deepEqual(daemon.received, ["x".repeat(100), "y"]);
});

test("spool: a full disk loses nothing and changes no order; when it has room again it is used", async () => {
  const { daemon, publisher, publish, system } = made(30);
  daemon.present = false;
  publish(...names(10, "before"));
  const { spooled } = publisher.state();
  system.diskFull = true;
  publish(...names(10, "full"));
  assert.equal(publisher.state().spooled, spooled);
  system.diskFull = false;
  publish("after");
  assert.equal(publisher.state().spooled, spooled + 11, "what waited in memory is on disk too");
  system.diskFull = true;
  publish("last");
  await turns();
  daemon.present = true;
  system.pass();
  await publisher.idle();
  assert.deepEqual(daemon.received, [...names(10, "before"), ...names(10, "full"), "after", "last"]);
  const said = system.logged.filter((line) => line === "error: events could not be spooled and stay in memory");
  assert.equal(said.length, 2, "once for each time it was full");
});

test("spool: no folder to spool to", async () => {
  const { daemon, publisher, publish, system } = made(30);
  system.failing.set("open", EIO);
  daemon.present = false;
  publish(...names(10));
  await turns();
  daemon.present = true;
  system.pass();
  await publisher.idle();
  assert.deepEqual(daemon.received, names(10));
});

test("spool: events that the disk does not give back are said to be lost, and hold up nobody", async () => {
  const { daemon, publisher, publish, system } = made(30);
  daemon.present = false;
  publish(...names(10));
  await turns();
  const inMemory = 10 - publisher.state().spooled;
  system.failing.set("read", EIO);
  daemon.present = true;
  system.pass();
  await publisher.idle();
  publish("later");
  await publisher.idle();
  assert.deepEqual(daemon.received, [...names(inMemory), "later"]);
  assert.ok(system.logged.includes("error: spooled events are lost"));
  assert.equal(publisher.undelivered, 0);
});

test("close: nothing goes on after it, whatever was under way; idle ends", async () => {
  for (const underWay of ["nothing", "retry", "forward"] as const) {
    const { daemon, publisher, publish, system } = made(20);
    daemon.present = underWay !== "retry";
    daemon.slow = underWay === "forward";
    if (underWay !== "nothing") publish(...names(5));
    await turns();
    const idle = publisher.idle();
    publisher.close();
    publisher.close();
    await idle;
    daemon.release();
    await turns();
    publish("late");
    await turns();
    assert.deepEqual(daemon.received, [], underWay);
    assert.equal(system.timers.size, 0, underWay);
    assert.equal(daemon.open, 0, underWay);
    assert.equal(system.openFds.size, 0, underWay);
    assert.deepEqual(
      system.logged.filter((line) => line.startsWith("error")),
      [],
      underWay,
    );
  }
});

test("no daemon: events go nowhere, and nothing waits for them", async () => {
  const { sys, log } = new SmallSystem();
  const publisher = new Publisher({ sys, log, connect: undefined, spoolPath });
  publisher.publish(new Uint8Array(5));
  await publisher.idle();
  assert.equal(publisher.undelivered, 0);
});

test("random walks: whatever daemon and disk do, every event arrives once and in order", async (t) => {
  const seed = Number(process.env["SEED"] ?? randomInt(2 ** 31));
  t.diagnostic(`seed ${seed}`);
  const step = fc.constantFrom("publish", "publish", "burst", "away", "back", "fullDisk", "freeDisk", "time", "turn");
  const walk = fc.asyncProperty(fc.array(step, { maxLength: 60, size: "max" }), async (steps) => {
    const { daemon, publisher, publish, system } = made(40);
    let count = 0;
    for (const what of steps) {
      if (what === "publish") publish(`event-${count++}`);
      else if (what === "burst") publish(...Array.from({ length: 7 }, () => `event-${count++}`));
      else if (what === "away" || what === "back") daemon.present = what === "back";
      else if (what === "fullDisk" || what === "freeDisk") system.diskFull = what === "fullDisk";
      else if (what === "time") system.pass();
      else await turns();
    }
    daemon.present = true;
    await turns();
    system.pass();
    await publisher.idle();
    assert.deepEqual(daemon.received, names(count));
    publisher.close();
    assert.deepEqual([daemon.open, system.openFds.size, system.timers.size], [0, 0, 0]);
  });
  await fc.assert(walk, { seed, numRuns: 300 });
});

test("leave: what is not delivered is in the file, oldest first, wherever it waited before", async () => {
  const { system, daemon, publisher, publish } = made(30);
  daemon.present = false;
  publish(...names(8));
  await turns();
  assert.ok(publisher.state().spooled > 0 && publisher.state().spooled < 8);
  assert.equal(publisher.leave(), 8);
  const left = readRecords(system.sys, "/b/events.left").map((record) => new TextDecoder().decode(record));
  assert.deepEqual(left, names(8));
  assert.deepEqual([...system.files.keys()], ["/b/events.left"]);
  assert.equal(system.openFds.size, 0);
  assert.equal(system.timers.size, 0);
});

test("leave: nothing undelivered, no file; a bundle that is gone is no harm", async () => {
  const { system, publisher, publish } = made();
  publish("taken");
  await publisher.idle();
  assert.equal(publisher.leave(), 0);
  assert.equal(system.files.size, 0);
  const lost = made();
  lost.daemon.present = false;
  lost.publish("lost");
  await turns();
  lost.system.failing.set("open", ENOENT);
  assert.equal(lost.publisher.leave(), 1);
  assert.ok(lost.system.logged.includes("warn: undelivered events cannot be left in the bundle"));
});
