// Output byte by byte: the sizes at which buffers, pages and pipes end, the counts that wear things out, and readers
// that are quick, slow, stalled, or come back. A process that prints and ends must not lose its last bytes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TestContainer, type TestProcess } from "./harness/container.ts";
import { onlyMoor } from "./harness/difference.ts";
import { holdFifo, type Reading, visitFifo } from "./harness/fifo.ts";
import { PatternChecker } from "./harness/pattern.ts";
import { useScene } from "./harness/scene.ts";
import { staysPending, until } from "./harness/until.ts";

const scene = useScene();
const MIB = 1 << 20;
/** Execs under way at once. */
const AT_ONCE = 4;

/** An exec whose client has its FIFOs open while it starts, and goes away before it has read anything. */
async function startedThenLeft(container: TestContainer, bytes: number): Promise<TestProcess> {
  const exec = await container.addExec(["/bin/payload", "pattern", String(bytes)], { output: "unread" });
  const leave = [exec.paths.stdout, exec.paths.stderr].map(holdFifo);
  await exec.start();
  for (const close of leave) close();
  return exec;
}

function idle(): Promise<TestContainer> {
  return TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
}

function printing(container: TestContainer, bytes: number, reading: Reading = "quick"): Promise<TestProcess> {
  return container.exec(["/bin/payload", "pattern", String(bytes)], { output: "pattern", reading });
}

async function printAll(container: TestContainer, bytes: number, reading: Reading = "quick"): Promise<void> {
  const exec = await printing(container, bytes, reading);
  await exec.out.allPattern(bytes);
  assert.equal((await exec.wait()).status, 0);
  await exec.delete();
}

async function repeat(count: number, act: () => Promise<void>): Promise<void> {
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) await act();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

test("output: sizes around a page, a pipe and nothing arrive exactly", async () => {
  const container = await idle();
  for (const size of [0, 1, 4095, 4096, 4097, 65_535, 65_536, 65_537]) await printAll(container, size);
  await container.remove();
});

test("output: of an init that prints and ends at once, on both streams", async () => {
  for (const size of [0, 1, 65_537, MIB + 1]) {
    const container = await TestContainer.run(scene, {
      args: ["/bin/payload", "both", String(size)],
      output: "pattern",
    });
    await container.init.out.allPattern(size);
    await container.init.err.allPattern(size);
    assert.equal((await container.end()).status, 0);
  }
});

test("output: 1 MiB and a byte a thousand times", async () => {
  const container = await idle();
  await repeat(1000, () => printAll(container, MIB + 1));
  await container.remove();
});

test("output: 16 MiB fifty times", async () => {
  const container = await idle();
  await repeat(50, () => printAll(container, 16 * MIB));
  await container.remove();
});

test("output: 256 MiB three times", async () => {
  const container = await idle();
  for (let round = 0; round < 3; round++) await printAll(container, 256 * MIB);
  await container.remove();
});

test("output: a slow reader gets everything, after the exit too", async () => {
  const container = await idle();
  await printAll(container, 8 * MIB + 1, "slow");
  await container.remove();
});

test("output: a stalled reader holds the process back, and gets everything when it goes on", async () => {
  const container = await idle();
  const exec = await printing(container, 4 * MIB + 1, "stalled");
  const exit = exec.wait();
  await staysPending("a process whose reader stalls", 300, exit);
  assert.equal((await exec.state()).status, "RUNNING");
  exec.out.read("quick");
  await exec.out.allPattern(4 * MIB + 1);
  assert.equal((await exit).status, 0);
  await exec.delete();
  await container.remove();
});

test("output: the exit is announced although a stalled reader leaves the last bytes unread", async () => {
  const container = await idle();
  // More than one pipe holds, less than the process's pipe and the FIFO together.
  const exec = await printing(container, 100_000, "stalled");
  assert.equal((await exec.wait(15_000)).status, 0);
  exec.out.read("quick");
  await exec.out.allPattern(100_000);
  await exec.delete();
  await container.remove();
});

test("output: a reader that leaves and comes back while the stream flows loses nothing", async () => {
  const container = await idle();
  const size = 16 * MIB + 1;
  const exec = await printing(container, size, "slow");
  for (let visit = 1; visit <= 8; visit++) {
    await until(`${visit} MiB to have come`, 20_000, () => exec.out.count >= visit * MIB);
    await exec.out.leave();
    exec.out.open();
  }
  exec.out.read("quick");
  await exec.out.allPattern(size);
  await exec.wait();
  await exec.delete();
  await container.remove();
});

test("output: a reader that comes only after the exit finds the bytes", async (t) => {
  // The stock shim closes both ends of the FIFO with the stream, and the bytes are gone with them.
  if (onlyMoor(t, "bytes-outlive-absent-readers")) return;
  const container = await idle();
  const exec = await startedThenLeft(container, 65_536);
  assert.equal((await exec.wait()).status, 0);
  const checker = new PatternChecker();
  await until("the bytes of an ended process", 5_000, () => {
    checker.feed(visitFifo(exec.paths.stdout, 4096).bytes);
    return checker.position >= 65_536;
  });
  checker.end(65_536);
  await exec.delete();
  await container.remove();
});

test("output: a process starts, runs and ends although nobody has opened its FIFOs yet", async (t) => {
  // The stock shim opens them blocking, and Start hangs until a reader comes.
  if (onlyMoor(t, "start-needs-no-reader")) return;
  const container = await idle();
  const exec = await container.exec(["/bin/payload", "pattern", "65536"], { output: "unread" });
  assert.equal((await exec.wait()).status, 0);
  const { bytes } = visitFifo(exec.paths.stdout, 65_536);
  const checker = new PatternChecker();
  checker.feed(bytes);
  checker.end(65_536);
  await exec.delete();
  await container.remove();
});

test("output: a reader that is away most of the time, at the end too, loses nothing", async (t) => {
  if (onlyMoor(t, "bytes-outlive-absent-readers")) return;
  const container = await idle();
  const size = 2 * MIB + 1;
  const exec = await startedThenLeft(container, size);
  const checker = new PatternChecker();
  await until(`${size} bytes in visits`, 30_000, () => {
    // Several visits a turn; each opens the FIFO anew.
    for (let visit = 0; visit < 20; visit++) checker.feed(visitFifo(exec.paths.stdout, 5_000).bytes);
    return checker.position >= size;
  });
  checker.end(size);
  assert.equal((await exec.wait()).status, 0);
  await exec.delete();
  await container.remove();
});

test("output: end of stream comes without Delete, as soon as the process and its heirs have closed it", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/echo", "done"] });
  assert.equal(await container.init.out.allText(), "done\n");
  assert.equal(await container.init.err.allText(), "");
  await container.end();
});
