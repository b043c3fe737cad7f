import assert from "node:assert/strict";
import { test } from "node:test";
import type { OwnedProcess } from "../reaper/reaper.ts";
import { FakeSystem } from "../oci/fake-system.fixture.ts";
import { hostGoesDown } from "./host-down.ts";

const systemd = "/run/systemd/system";

function machine(init: string, answer?: string) {
  const system = new FakeSystem();
  system.files.set("/proc/1/comm", `${init}\n`);
  if (answer !== undefined) system.files.set(systemd, "");
  system.runtime = (call) => {
    assert.deepEqual(call.request.argv, ["systemctl", "is-system-running"]);
    call.write(1, `${answer}\n`);
    call.end(answer === "running" ? 0 : 1);
  };
  return { system, ask: () => hostGoesDown(system.sys, system.reaper, system.log) };
}

test("hostGoesDown: systemd at its very end needs no question", async () => {
  const { system, ask } = machine("systemd-shutdow");
  assert.equal(await ask(), true);
  assert.equal(system.calls.length, 0);
});

test("hostGoesDown: systemd is asked, and only stopping means yes", async () => {
  for (const answer of ["stopping", "running", "degraded", "starting", ""]) {
    const { system, ask } = machine("systemd", answer);
    assert.equal(await ask(), answer === "stopping", answer);
    assert.equal(system.fds.size, 0);
    assert.equal(system.timers.size, 0);
  }
});

test("hostGoesDown: without systemd nobody is asked; a question that fails or hangs is a no", async () => {
  const other = machine("init");
  assert.equal(await other.ask(), false);
  assert.equal(other.system.calls.length, 0);

  const failing = machine("systemd", "stopping");
  const reaper = {
    spawn: (): OwnedProcess => {
      throw new Error("start systemctl: ENOENT");
    },
  };
  assert.equal(await hostGoesDown(failing.system.sys, reaper, failing.system.log), false);
  assert.equal(failing.system.fds.size, 0);

  const hanging = machine("systemd", "stopping");
  hanging.system.runtime = () => undefined;
  const asked = hanging.ask();
  await new Promise<void>((resolve) => setImmediate(resolve));
  hanging.system.pass(3_000);
  assert.equal(await asked, false);
  assert.deepEqual(hanging.system.calls[0]?.signals, [9]);
  assert.equal(hanging.system.fds.size, 0);
});
