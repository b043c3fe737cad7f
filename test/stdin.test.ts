// Stdin through its FIFO: bytes arrive exactly, CloseIO ends it, a client that goes away does not.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TestContainer } from "./harness/container.ts";
import { patternBytes } from "./harness/pattern.ts";
import { useScene } from "./harness/scene.ts";

const scene = useScene();

test("stdin: what a client writes at once before CloseIO arrives whole, whatever its size", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  for (const size of [0, 1, 4095, 4096, 4097, 65_535, 65_536, 65_537, 1_048_577]) {
    const exec = await container.exec(["/bin/payload", "sink"], { stdin: true });
    await exec.stdin.open();
    if (size > 0) await exec.stdin.write(patternBytes(size));
    await exec.closeStdin();
    assert.equal(await exec.out.allText(), `${size} right\n`);
    assert.equal((await exec.wait()).status, 0);
    await exec.delete();
  }
  await container.remove();
});

test("stdin: of an init, CloseIO before anything was written is an end", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/payload", "sink"], stdin: true });
  await container.init.stdin.open();
  await container.init.closeStdin();
  assert.equal(await container.init.out.allText(), "0 right\n");
  await container.end();
});

test("stdin: a client that goes away without CloseIO does not end it, and one that comes back goes on", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/cat"], stdin: true });
  const { stdin, out } = container.init;
  await stdin.open();
  await stdin.write("first\n");
  await out.untilText(/first\n/);
  await stdin.close();
  assert.equal((await container.init.state()).status, "RUNNING");
  await stdin.open();
  await stdin.write("second\n");
  await out.untilText(/first\nsecond\n/);
  await container.init.closeStdin();
  assert.equal(await out.allText(), "first\nsecond\n");
  assert.equal((await container.end()).status, 0);
});

test("stdin: a process that does not read its stdin ends and is deleted all the same", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  const exec = await container.exec(["/bin/true"], { stdin: true });
  assert.equal((await exec.wait()).status, 0);
  await exec.out.allText();
  await exec.delete();
  await container.remove();
});

test("stdin: CloseIO for a process without stdin is accepted", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  await scene.api.closeStdin(container.id);
  await container.remove();
});
