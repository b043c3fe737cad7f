// Exit statuses: each of 0 to 255 and each signal, of execs and of inits, in Wait, Delete, State and the exit event alike.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TestContainer } from "./harness/container.ts";
import { useScene } from "./harness/scene.ts";

const scene = useScene();
/** Execs under way at once; more gain nothing on two cores. */
const AT_ONCE = 4;

async function forEachOf(values: readonly number[], act: (value: number) => Promise<void>): Promise<void> {
  const rest = [...values];
  const worker = async (): Promise<void> => {
    for (let value = rest.shift(); value !== undefined; value = rest.shift()) await act(value);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

test("exit status: each of 0 to 255 of an exec arrives as it is", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  await forEachOf(
    Array.from({ length: 256 }, (_value, index) => index),
    async (status) => {
      const exec = await container.exec(["/bin/payload", "pattern", "0", String(status)], { output: "null" });
      const exit = await exec.wait();
      const event = await scene.events.untilEvent(container.id, "exit", exec.execId);
      const state = await exec.state();
      const deleted = await exec.delete();
      const seen = [exit.status, event.fields["exitStatus"], state.exitStatus, deleted.status];
      assert.deepEqual(seen, [status, status, status, status]);
      assert.equal(deleted.atNs, exit.atNs);
    },
  );
  await container.remove();
});

test("exit status: a signal that ends an exec gives 128 and the signal", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  // What ends a process by default; the stops, the ignored ones and the two the C library keeps are left out.
  const harmless = new Set([17, 18, 19, 20, 21, 22, 23, 28, 32, 33]);
  const fatal = Array.from({ length: 64 }, (_value, index) => index + 1).filter((signal) => !harmless.has(signal));
  await forEachOf(fatal, async (signal) => {
    const exec = await container.exec(["/bin/payload", "signal", String(signal)], { output: "null" });
    assert.equal((await exec.wait()).status, 128 + signal, `signal ${signal}`);
    assert.equal((await exec.delete()).status, 128 + signal);
  });
  await container.remove();
});

test("exit status: init's arrives in Wait, State, event and Delete, with one time", async () => {
  for (const status of [0, 1, 127, 128, 137, 255]) {
    const args = ["/bin/payload", "pattern", "0", String(status)];
    const container = await TestContainer.run(scene, { args, output: "null" });
    const exit = await container.init.wait();
    assert.equal(exit.status, status);
    assert.deepEqual(await container.init.state(), { status: "STOPPED", pid: container.init.pid, exitStatus: status });
    const event = await scene.events.untilEvent(container.id, "exit");
    assert.equal(event.fields["exitStatus"], status);
    assert.equal(event.fields["pid"], container.init.pid);
    const deleted = await container.delete();
    assert.deepEqual(deleted, exit);
  }
});

test("exit status: an init ended by a signal it has no handler for in its own namespace", async () => {
  for (const [signal, status] of [
    [9, 137],
    [15, 15],
  ] as const) {
    const args = signal === 15 ? ["/bin/payload", "signals"] : ["/bin/sleep", "1000"];
    const container = await TestContainer.run(scene, { args });
    if (signal === 15) await container.init.out.untilText(/ready/);
    await container.init.kill(signal);
    assert.equal((await container.init.wait()).status, status);
    assert.equal((await container.delete()).status, status);
  }
});

test("exit status: a Wait sent before the exit and one sent after it answer the same", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  const early = container.init.wait();
  await container.init.kill(9);
  const first = await early;
  assert.deepEqual(await container.init.wait(), first);
  await container.delete();
});
