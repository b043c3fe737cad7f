import assert from "node:assert/strict";
import { test } from "node:test";
import { type FakeKernel, turn } from "./fake-kernel.fixture.ts";
import { fifos, kernelWithFifos, logger, open } from "./setup.fixture.ts";
import type { StdioSetup } from "./stdio.ts";

test("stdio: whatever fails, nothing is left", async () => {
  const kinds: readonly [string, Partial<StdioSetup>][] = [
    ["fifos", { ...fifos, ioUid: 1 }],
    ["files", { stdout: "file:///var/a/x.log", stderr: "file:///var/a/x.log" }],
    ["terminal", { ...fifos, terminal: true }],
    ["terminal with a file", { stdin: fifos.stdin, stdout: "file:///x.log", terminal: true }],
    ["long bundle", { ...fifos, terminal: true, bundle: `/${"x".repeat(120)}` }],
    ["logger", { stdin: fifos.stdin, ...logger }],
    ["terminal with a logger", { ...logger, terminal: true }],
  ];
  for (const [name, more] of kinds) {
    let failures = 0;
    for (let failAfter = 1; ; failAfter++) {
      const kernel = kernelWithFifos();
      kernel.files.set(more.bundle ?? "/bundle", "folder");
      kernel.failAfter = failAfter;
      const failed = await live(kernel, more).then(
        () => false,
        () => true,
      );
      await turn();
      for (const program of kernel.processes) program.end(0);
      await turn();
      assert.deepEqual(kernel.leftovers(), [], `${name}: call ${failAfter} fails: ${kernel.calls.join(", ")}`);
      assert.equal(kernel.timers.size, 0, `${name}: timers when call ${failAfter} fails`);
      if (kernel.failAfter > 0) break;
      if (failed) failures++;
    }
    assert.ok(failures >= 5, `${name}: ${failures} failures`);
  }

  /** A whole life; what may fail in it does once. */
  async function live(kernel: FakeKernel, more: Partial<StdioSetup>): Promise<void> {
    const opening = open(kernel, more);
    opening.catch(() => undefined);
    await turn();
    const ready = [...kernel.fds].find(([fd, label]) => label.endsWith("read") && kernel.polls.has(fd));
    if (ready !== undefined) {
      kernel.readings.set(ready[1], 1);
      kernel.ready(ready[1]);
    }
    const stdio = await opening;
    if (more.terminal === true) {
      kernel.arriving = ["master"];
      kernel.ready("listening");
      if ([...kernel.fds.values()].includes("connection")) kernel.ready("connection");
    }
    try {
      const attached = stdio.attach();
      attached.catch(() => undefined);
      await turn();
      kernel.pass(60_000);
      await attached;
    } finally {
      for (const { end } of [...kernel.pumps]) end("eof");
      stdio.release();
      await turn();
    }
  }
});
