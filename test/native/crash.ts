// Crashes: each kind executes the program anew in the same process, which finds its records, children, pumps and
// connections as they were, and the signal handled as before. This file is the main module of each image in turn: what a
// record says is how far it is.

import sys from "sys";
import { EEXIST, ENOENT } from "../../src/sys/errno.ts";
import { O_NONBLOCK } from "../../src/sys/flags.ts";
import type { Fd, Kept, KeptHandle, Pid, PumpEnd, PumpId } from "../../src/sys/sys.d.ts";
import { after, check, equal, fails, finish, good, ok, print, readAll } from "./checks.ts";

/** SIGSEGV, SIGABRT, SIGILL, SIGBUS, SIGFPE: each is sent to us by ourselves, and strikes at once. 0: the heap is filled. */
const signals = [11, 6, 4, 0, 7, 8];
const none = 0 as KeptHandle;

interface Plan {
  readonly step: number;
  readonly child: Pid;
  readonly pumps: readonly PumpId[];
  readonly fds: readonly number[];
  readonly path: string;
}

function bytesOf(text: string): Uint8Array {
  return sys.encodeUtf8(text);
}

function crash(step: number): never {
  const signal = signals[step];
  if (signal === 0) fillHeap();
  if (signal !== undefined) sys.kill(sys.getpid(), signal);
  throw new Error(`step ${step} went on`);
}

function fillHeap(): void {
  const all: number[][] = [];
  for (;;) all.push([all.length, all.length]);
}

function frame(id: number, type: number, body: string): Uint8Array {
  return Uint8Array.from([0, 0, 0, body.length, 0, 0, 0, id, type, 0, ...bytesOf(body)]);
}

/** Everything that is there before the first crash. */
function prepare(): Plan {
  good(sys.becomeSubreaper(), "becomeSubreaper");
  const child = good(
    sys.spawn({ file: "sh", argv: ["sh", "-c", "read x; exit 7"], env: ["PATH=/bin:/usr/bin"], fds: [] }),
    "spawn",
  );
  // Its standard input is /dev/null: it has ended soon, and stays a zombie.
  const [source, to] = good(sys.pipe(O_NONBLOCK), "pipe");
  const [from, target] = good(sys.pipe(O_NONBLOCK), "pipe");
  const pump = good(
    sys.pumpStart({ takeSourceFd: source, takeTargetFd: target }, () => undefined),
    "pumpStart",
  );
  const dropped = good(
    sys.pumpStart(
      { takeSourceFd: good(sys.pipe(O_NONBLOCK), "pipe")[0], takeTargetFd: good(sys.memfd("target"), "memfd") },
      () => undefined,
    ),
    "pumpStart",
  );
  const path = `/tmp/moor-native-crash-${sys.getpid()}.sock`;
  const listener = good(sys.unixBind(path), "bind");
  good(sys.listen(listener, 8), "listen");
  const client = good(sys.unixConnect(path), "connect");
  const server = good(sys.accept(listener), "accept");
  good(sys.followRequests(server), "followRequests");
  fails(sys.followRequests(server), EEXIST, "followed twice");
  return { step: 0, child: child.pid, pumps: [pump, dropped], fds: [to, from, client, server, listener], path };
}

/** Two requests, one of which is answered; half of a third; an answer of which a part goes. */
function talk([, , client, server]: readonly number[]): void {
  const sent = [...frame(1, 1, "one"), ...frame(3, 1, "three"), ...frame(5, 1, "five").subarray(0, 12)];
  good(sys.write(client as Fd, Uint8Array.from(sent), 0, sent.length), "write");
  const buffer = new Uint8Array(4096);
  equal(good(sys.read(server as Fd, buffer, 0, 15), "read"), 15);
  equal(good(sys.read(server as Fd, buffer, 0, 100), "read"), sent.length - 15);
  const answer = frame(1, 2, "answer");
  equal(good(sys.write(server as Fd, answer, 0, answer.length), "write"), answer.length);
}

async function first(): Promise<void> {
  good(
    sys.keepStart(() => undefined),
    "keepStart",
  );
  const plan = prepare();
  talk(plan.fds);
  const [to] = plan.fds;
  good(sys.write(to as Fd, bytesOf("before"), 0, 6), "write");
  const doomed = good(sys.keep(bytesOf("doomed"), none), "keep");
  sys.keepDrop(doomed);
  const big = new Uint8Array(300_000).fill(1);
  let handle = good(sys.keep(big, none), "keep");
  for (let round = 0; round < 50; round++) handle = good(sys.keep(big.subarray(0, 1000 * round), handle), "keep");
  sys.keepDrop(handle);
  good(sys.keep(bytesOf(JSON.stringify(plan)), none), "keep");
  await after(5);
  crash(0);
}

function planOf(kept: Kept): { plan: Plan; handle: KeptHandle } {
  equal(kept.records.length, 1, "records");
  const [record] = kept.records;
  ok(record !== undefined && record.number > 0, "the record is whole");
  return { plan: JSON.parse(sys.decodeUtf8(record.bytes)) as Plan, handle: record.handle };
}

async function again(kept: Kept): Promise<void> {
  const { plan, handle } = planOf(kept);
  const { step } = plan;
  await check(`image ${step + 1}: five crashes within a minute are borne`, () => equal(kept.lastWords, step >= 5));
  await check(`image ${step + 1}: knows of its crashes`, () => {
    equal(kept.crashCount, step + 1);
    const last = kept.crashes.at(-1);
    equal([last?.signal, last?.sender], [signals[step], signals[step] === 0 ? 0 : sys.getpid()], "the last crash");
    ok(!sys.environ.some((entry) => entry.startsWith("MOOR_KEPT_FD")), "the environment says nothing of it");
  });
  await check(`image ${step + 1}: the child is a child still`, () => {
    equal(kept.spawned.map(({ pid }) => pid).includes(plan.child), true);
    const seen = good(sys.peekPid(plan.child), "peekPid");
    ok(seen === undefined || (seen.code === 1 && seen.status === 7), "its exit");
  });
  await check(`image ${step + 1}: the connection is as it was`, () => {
    const [connection] = kept.connections;
    ok(connection !== undefined && kept.connections.length === 1, "one connection");
    equal(connection.fd, plan.fds[3]);
    equal(
      connection.calls.map(({ id, frame: bytes }) => [id, sys.decodeUtf8(bytes.subarray(10))]),
      [[3, "three"]],
      "calls",
    );
    equal(connection.input.length, 12, "input");
    equal([connection.output.length, connection.sound], [0, true], "output");
  });
  if (step + 1 < signals.length) {
    good(sys.keep(bytesOf(JSON.stringify({ ...plan, step: step + 1 })), handle), "keep");
    crash(step + 1);
  }
  await lastImage(plan);
}

async function lastImage(plan: Plan): Promise<void> {
  const [to, from, client, server, listener] = plan.fds as readonly Fd[] as [Fd, Fd, Fd, Fd, Fd];
  await check("last image: the pump goes on, and one that nobody resumes is ended", async () => {
    const [pump, dropped] = plan.pumps as [PumpId, PumpId];
    let end: PumpEnd | undefined;
    const ended = new Promise<void>((resolve) => {
      good(
        sys.pumpResume(pump, (word) => {
          end = word;
          resolve();
        }),
        "pumpResume",
      );
    });
    fails(
      sys.pumpResume(pump, () => undefined),
      ENOENT,
      "resumed twice",
    );
    sys.keepDropRest();
    fails(sys.pumpState(dropped), ENOENT, "the dropped one");
    good(sys.write(to, bytesOf("after"), 0, 5), "write");
    good(sys.close(to), "close");
    await ended;
    equal([end?.reason, Number(end?.bytes)], ["eof", 11], "end");
    good(sys.setNonblock(from, false), "setNonblock");
    equal(readAll(from), "beforeafter");
  });
  await check("last image: the call is answered and the rest of the request is read", () => {
    const buffer = new Uint8Array(64);
    const rest = frame(5, 1, "five").subarray(12);
    good(sys.write(client, rest, 0, rest.length), "write");
    equal(good(sys.read(server, buffer, 0, 64), "read"), rest.length);
    const answer = frame(3, 2, "");
    good(sys.write(server, answer, 0, answer.length), "write");
    equal(
      sys.kept()?.connections[0]?.calls.map(({ id }) => id),
      [5],
    );
    good(sys.close(server), "close");
    equal(sys.kept()?.connections.length, 0, "connections");
  });
  await check("last image: how a child ended is known in the turn in which it was reaped, and no longer", async () => {
    const exit = good(sys.reap(plan.child), "reap");
    ok(exit !== undefined, "reaped");
    equal(
      sys.kept()?.reaped.map(({ pid }) => pid),
      [plan.child],
    );
    ok(!(sys.kept()?.spawned ?? []).some(({ pid }) => pid === plan.child), "it is no child any more");
    await after(0);
    equal(sys.kept()?.reaped, []);
  });
  for (const fd of [client, listener]) good(sys.close(fd), "close");
  good(sys.unlink(plan.path), "unlink");
  finish();
}

const kept = sys.kept();
try {
  if (kept === undefined) await first();
  else await again(kept);
} catch (thrown) {
  print(`not ok - ${String(thrown)} ${thrown instanceof Error ? (thrown.stack ?? "") : ""}`);
  sys.exit(1);
}
