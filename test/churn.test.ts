// Many short lives: containers one after the other and at once. As many processes, sockets, mounts and cgroups after as
// before (the scene's leak check at the end says so), each output whole, each status right, each event once.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TestContainer } from "./harness/container.ts";
import { onlyMoor } from "./harness/difference.ts";
import { useScene } from "./harness/scene.ts";

const scene = useScene();
const IN_SEQUENCE = 200;
const AT_ONCE = 50;

async function oneLife(number: number): Promise<string> {
  const status = number % 256;
  const container = await TestContainer.run(scene, { args: ["/bin/sh", "-c", `echo life ${number}; exit ${status}`] });
  assert.equal(await container.init.out.allText(30_000), `life ${number}\n`);
  const exit = await container.init.wait();
  assert.equal(exit.status, status);
  assert.deepEqual(await container.delete(), exit);
  return container.id;
}

async function assertEvents(ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    await scene.events.untilEvent(id, "delete");
    assert.deepEqual(scene.events.topicsOf(id), ["create", "start", "exit", "delete"]);
  }
}

test(`churn: ${IN_SEQUENCE} short containers one after the other`, async () => {
  const ids: string[] = [];
  for (let number = 0; number < IN_SEQUENCE; number++) ids.push(await oneLife(number));
  await assertEvents(ids);
});

test(`churn: ${AT_ONCE} containers at once`, async () => {
  await assertEvents(await Promise.all(Array.from({ length: AT_ONCE }, (_value, number) => oneLife(number))));
});

test(`churn: ${AT_ONCE} containers of one group at once`, async (t) => {
  if (onlyMoor(t, "no-exit-lost-in-a-group")) return;
  const annotations = { "io.containerd.runc.v2.group": scene.newId("group") };
  const first = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null", annotations });
  const lives = Array.from({ length: AT_ONCE }, async (_value, number) => {
    const args = ["/bin/payload", "pattern", String(number * 1000), String(number)];
    const container = await TestContainer.run(scene, { args, output: "pattern", annotations });
    await container.init.out.allPattern(number * 1000);
    assert.equal((await container.end()).status, number);
    return container.id;
  });
  await assertEvents(await Promise.all(lives));
  await first.remove();
});
