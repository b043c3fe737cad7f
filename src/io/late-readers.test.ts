import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeKernel } from "./fake-kernel.fixture.ts";
import { LateReaders } from "./late-readers.ts";
import type { Fd } from "../sys/sys.d.ts";

const fifo = "read /run/out";

function kernelWith(unread: number): { kernel: FakeKernel; kept: Fd } {
  const kernel = new FakeKernel();
  kernel.files.set("/run/out", "fifo");
  const kept = kernel.sys.open("/run/out", 0, 0) as Fd;
  kernel.unread.set(fifo, unread);
  return { kernel, kept };
}

const woken = (kernel: FakeKernel): number => kernel.calls.filter((call) => call === `write ${fifo}`).length;
const pauses = (kernel: FakeKernel): number[] => [...kernel.timers.values()].map(({ ms }) => ms);

test("late readers: nothing unread, nothing to wake up for", () => {
  const { kernel, kept } = kernelWith(0);
  new LateReaders(kernel.sys, kept).stop();
  assert.deepEqual(pauses(kernel), []);
});

test("late readers: while bytes are unread the FIFO gets a writer for a moment, ever more seldom", () => {
  const { kernel, kept } = kernelWith(10);
  const readers = new LateReaders(kernel.sys, kept);
  let longest = 0;
  let looks = 0;
  for (let elapsed = 0; elapsed < 600_000; looks++) {
    const [pause = 0] = pauses(kernel);
    assert.ok(pause >= 100 && pause <= Math.max(100, elapsed / 32), `${pause} ms after ${elapsed} ms`);
    assert.ok(pause >= longest);
    longest = pause;
    elapsed += pause;
    kernel.pass(1e9);
  }
  assert.ok(looks < 210, `${looks} looks in ten minutes`);
  assert.equal(woken(kernel), looks);
  assert.deepEqual([...kernel.fds.values()], [fifo], "the writer is closed at once");
  kernel.unread.set(fifo, 0);
  kernel.pass(1e9);
  assert.deepEqual(pauses(kernel), [], "all is read");
  readers.stop();
});

test("late readers: who has not come within a week does not come", () => {
  const { kernel, kept } = kernelWith(10);
  new LateReaders(kernel.sys, kept);
  for (let look = 0; look < 500; look++) kernel.pass(1e9);
  assert.deepEqual(pauses(kernel), []);
});

test("late readers: stop leaves no timer, and a lack of fds is for the next look", () => {
  const { kernel, kept } = kernelWith(10);
  const readers = new LateReaders(kernel.sys, kept);
  kernel.failAfter = 1;
  kernel.pass(1e9);
  kernel.pass(1e9);
  assert.equal(woken(kernel), 2);
  readers.stop();
  readers.stop();
  assert.deepEqual(pauses(kernel), []);
});
