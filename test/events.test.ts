// Events: each thing that happens is announced once, in order, with the right fields, as containerd's subscribers see it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { TestContainer } from "./harness/container.ts";
import { useScene } from "./harness/scene.ts";
import { until } from "./harness/until.ts";

const scene = useScene();

test("events: of a life with an exec, in order, with the fields of each", async () => {
  const container = await TestContainer.create(scene, { args: ["/bin/sleep", "1000"] });
  await container.init.start();
  const exec = await container.addExec(["/bin/payload", "pattern", "0", "3"], { output: "null" });
  await exec.start();
  const execExit = await exec.wait();
  await exec.delete();
  await container.init.kill(9);
  const exit = await container.init.wait();
  await container.delete();
  await scene.events.untilEvent(container.id, "delete");
  const { id } = container;
  assert.deepEqual(scene.events.topicsOf(id), [
    "create",
    "start",
    "exec-added",
    "exec-started",
    "exit",
    "exit",
    "delete",
  ]);
  const [create, start, added, execStarted, execOver, over, deleted] = scene.events.of(id).map((event) => event.fields);
  assert.equal(create?.["pid"], container.init.pid);
  assert.equal(create["bundle"], container.bundle);
  assert.deepEqual(create["io"], { ...container.init.paths, terminal: false });
  assert.equal(start?.["pid"], container.init.pid);
  assert.equal(added?.["execId"], exec.execId);
  assert.deepEqual([execStarted?.["execId"], execStarted?.["pid"]], [exec.execId, exec.pid]);
  assert.deepEqual(
    [execOver?.["id"], execOver?.["pid"], execOver?.["exitStatus"]],
    [exec.execId, exec.pid, execExit.status],
  );
  assert.deepEqual([over?.["id"], over?.["pid"], over?.["exitStatus"]], [id, container.init.pid, exit.status]);
  assert.deepEqual([deleted?.["pid"], deleted?.["exitStatus"]], [container.init.pid, exit.status]);
  assert.ok(scene.events.of(id).every((event) => event.namespace === scene.namespace));
});

test("events: of a start that fails, the exit of the init that never ran, and no start", async () => {
  const container = await TestContainer.create(scene, { args: ["/bin/no-such-program"], output: "null" }).catch(
    // runc 1.1 finds the missing program at create; then nothing was announced at all.
    () => undefined,
  );
  if (container === undefined) {
    const id = scene.ids.at(-1) ?? "";
    assert.deepEqual(scene.events.topicsOf(id), []);
    return;
  }
  await assert.rejects(container.init.start());
  assert.equal(scene.events.topicsOf(container.id).includes("start"), false);
  await container.delete();
});

test("events: times of exit lie between start and end of the test, and agree with Wait", async () => {
  const begin = BigInt(Date.now()) * 1_000_000n;
  const container = await TestContainer.run(scene, { args: ["/bin/true"], output: "null" });
  const exit = await container.init.wait();
  const end = BigInt(Date.now() + 1) * 1_000_000n;
  assert.ok(exit.atNs >= begin && exit.atNs <= end, `${begin} <= ${exit.atNs} <= ${end}`);
  const event = await scene.events.untilEvent(container.id, "exit");
  const at = event.fields["exitedAt"] as { seconds: bigint; nanos: number };
  assert.equal(at.seconds * 1_000_000_000n + BigInt(at.nanos), exit.atNs);
  await container.delete();
});

test("events: before an exit the time is the year 1, not 1970", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  const { process } = await scene.api.get(container.id);
  assert.equal(process?.exitedAt?.seconds, -62_135_596_800n);
  await container.remove();
});

test("events: ctr events prints them", async () => {
  const [file = "", ...args] = scene.ctr.argv("events");
  const child = spawn(file, args, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  try {
    // A first event shows that ctr has subscribed; containers/create comes from the daemon itself.
    await until("ctr events to show something", 10_000, async () => {
      const id = scene.newId("probe");
      await scene.ctr.run(["--rm"], id, ["/bin/true"]);
      return text.includes(id);
    });
    const id = scene.newId("seen");
    await scene.ctr.run(["--rm"], id, ["/bin/sh", "-c", "exit 6"]);
    await until("the delete event", 5_000, () => new RegExp(`/tasks/delete .*${id}`).test(text));
    const topics = [...text.matchAll(/(\/tasks\/\S+) (\{.*\})/g)].filter((match) => match[2]?.includes(id));
    assert.deepEqual(
      topics.map((match) => match[1]),
      ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"],
    );
    assert.match(topics[2]?.[2] ?? "", /"exit_status":6/);
  } finally {
    child.kill();
  }
});
