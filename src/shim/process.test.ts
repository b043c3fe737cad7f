import assert from "node:assert/strict";
import { test } from "node:test";
import { MoorError } from "../sys/error.ts";
import type { Pid } from "../sys/sys.d.ts";
import { type Outcome, Process } from "./process.ts";

function made(kind: "init" | "exec" = "init"): Process {
  const execId = kind === "init" ? "" : "e1";
  return new Process({ kind, containerId: "c1", execId, stdin: "", stdout: "", stderr: "", terminal: false });
}

function running(kind: "init" | "exec" = "init"): Process {
  const process = made(kind);
  process.ask("start");
  process.happened("started");
  return process;
}

function exited(process: Process): void {
  process.setExit({ pid: 7 as Pid, status: 3, signal: 0, atNs: 5n });
  process.happened("exited");
}

function turns(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Whether it has been settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const note = () => {
    settled = true;
  };
  promise.then(note, note);
  await turns();
  return settled;
}

test("ask: moves as the table says, and tells what is to be done", () => {
  const init = made();
  assert.deepEqual(init.ask("start"), { kind: "to", state: "starting" });
  assert.equal(init.data.state, "starting");
  init.happened("started");
  assert.deepEqual(init.ask("kill"), { kind: "stay" });
  assert.equal(init.data.state, "running");
  init.ask("pause");
  assert.deepEqual(init.ask("pause"), { kind: "join" });
  assert.deepEqual(made().ask("delete"), { kind: "killFirst" });
});

test("ask, check: a refusal has the table's code and names request and process; it moves nothing", () => {
  const refusal = (code: string, message: string) => (thrown: unknown) =>
    thrown instanceof MoorError && thrown.code === code && thrown.message === message;
  const init = running();
  const stillRunning = refusal("failed_precondition", "delete container c1: it is still running");
  assert.throws(() => init.ask("delete"), stillRunning);
  assert.throws(() => init.check("delete"), stillRunning);
  assert.equal(init.data.state, "running");
  const exec = made("exec");
  const notStarted = refusal("failed_precondition", "kill exec e1 of container c1: it has not been started");
  assert.throws(() => exec.ask("kill"), notStarted);
  exec.check("start");
  assert.equal(exec.data.state, "created", "a check moves nothing when it is allowed either");
});

test("wait: everyone is told once the exit is announced, and whoever asks later at once", async () => {
  for (const kind of ["init", "exec"] as const) {
    const process = running(kind);
    const waiting = [process.wait(), process.wait()];
    exited(process);
    assert.equal(process.outcome, undefined, "known, but not announced");
    assert.equal(await isSettled(Promise.race(waiting)), false);
    process.announce();
    assert.equal(process.data.state, "stopped");
    const expected: Outcome = { status: 3, atNs: 5n };
    assert.deepEqual(await Promise.all([...waiting, process.wait()]), [expected, expected, expected]);
    process.ask("delete");
    assert.deepEqual(process.outcome, expected);
    process.happened("deleted");
    assert.deepEqual(await process.wait(), expected);
  }
});

test("wait: a start that failed and left no process answers containerd's 255 and no time, also after it", async () => {
  const exec = made("exec");
  const waiting = exec.wait();
  exec.ask("start");
  exec.happened("startFailed");
  exec.failStart();
  assert.deepEqual(await waiting, { status: 255, atNs: undefined });
  assert.deepEqual(await exec.wait(), { status: 255, atNs: undefined });
  exec.ask("delete");
  exec.happened("deleted");
  assert.deepEqual(exec.outcome, { status: 255, atNs: undefined });
});

test("happened: an exit during a start is for later, and the process goes on starting", () => {
  const init = made();
  init.ask("start");
  assert.deepEqual(init.happened("exited"), { kind: "later" });
  assert.equal(init.data.state, "starting");
  init.happened("started");
  assert.deepEqual(init.happened("exited"), { kind: "to", state: "exiting" });
});

test("wait: who gives up is forgotten, the others are told, and no listener stays", async () => {
  const process = running();
  const listeners = new Set<() => void>();
  const given = {
    onCancel: (fn: () => void) => {
      listeners.add(fn);
      return () => void listeners.delete(fn);
    },
  };
  const left = process.wait(given);
  for (const cancel of listeners) cancel();
  listeners.clear();
  await assert.rejects(left, (thrown) => thrown instanceof MoorError && thrown.code === "canceled");
  const stays = process.wait(given);
  exited(process);
  process.announce();
  assert.equal((await stays).status, 3);
  assert.equal(listeners.size, 0);
});

test("settled: at once when nothing is under way, else when the exit is announced or the start has failed", async () => {
  assert.equal(await isSettled(made("exec").settled()), true);
  const exec = made("exec");
  exec.ask("start");
  const afterFailure = exec.settled();
  assert.equal(await isSettled(afterFailure), false);
  exec.happened("startFailed");
  assert.equal(await isSettled(afterFailure), true);

  const other = running("exec");
  const afterExit = other.settled();
  exited(other);
  assert.equal(await isSettled(afterExit), false);
  other.announce();
  assert.equal(await isSettled(afterExit), true);
  assert.equal(await isSettled(other.settled()), true);
});

test("data: plain, so that another process image can go on with it", () => {
  const process = running();
  exited(process);
  const copy = structuredClone(process.data);
  assert.deepEqual(copy, process.data);
  assert.deepEqual(Object.getPrototypeOf(process.data), Object.prototype);
});
