import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeKernel } from "../io/fake-kernel.fixture.ts";
import type { Exit, OwnedProcess } from "../reaper/reaper.ts";
import { SIGKILL } from "../sys/flags.ts";
import type { Pid, Sys } from "../sys/sys.d.ts";
import { type ExecPlace, makeExec, startExec } from "./execs.ts";

const request = { execId: "e1", stdin: "", stdout: "", stderr: "", terminal: false };

test("startExec: a process whose start is undone is killed, and its end is nobody's news", async () => {
  const kernel = new FakeKernel();
  const more: Partial<Sys> = {
    environ: [],
    writeText: () => 0,
    unlink: () => 0,
    decodeUtf8: (bytes) => new TextDecoder().decode(bytes),
  };
  const signals: number[] = [];
  const exits: Exit[] = [];
  let ended: (exit: Exit) => void = () => undefined;
  const owned = { pid: 7 as Pid, exit: undefined, signal: (signal: number) => signals.push(signal) > 0 };
  const place = {
    context: {
      sys: new Proxy(kernel.sys, {
        get: (sys, name) => more[name as keyof Sys] ?? sys[name as keyof Sys],
      }),
      log: kernel.log,
      reaper: { spawn: undefined, announce: () => ({ end: () => undefined, endStrays: () => undefined }) },
      namespace: "ns",
      environ: [],
    },
    containerId: "c1",
    bundle: "/bundle",
    options: { ioUid: 0, ioGid: 0 },
    runtime: {
      exec: async (...of: unknown[]) => {
        ended = of[4] as (exit: Exit) => void;
        return owned as unknown as OwnedProcess;
      },
    },
    initPid: 3 as Pid,
  } as unknown as ExecPlace;
  const exec = makeExec(place, { ...request, spec: new TextEncoder().encode("{}") });
  const tooLate = () => {
    throw new Error("its container has ended");
  };
  await assert.rejects(
    startExec(place, exec, (exit) => exits.push(exit), tooLate),
    /its container has ended/,
  );
  assert.deepEqual(signals, [SIGKILL]);
  ended({ pid: 7 as Pid, status: 137, signal: SIGKILL, atNs: 1n });
  assert.deepEqual(exits, []);
  assert.equal(exec.data.pid, 0);
});
