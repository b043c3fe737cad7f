// Crashes of the shim under containerd: the daemon and its clients notice nothing but a refused call, if one was under way.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { TestContainer } from "./harness/container.ts";
import { crashShim } from "./harness/crash.ts";
import { onlyMoor } from "./harness/difference.ts";
import { useScene } from "./harness/scene.ts";
import { shimPidOf } from "./harness/shim-process.ts";
import { Terminal } from "./harness/terminal.ts";

const scene = useScene();

function bundleOf(id: string): string {
  return join(scene.daemon.stateDir, "io.containerd.runtime.v2.task", scene.namespace, id);
}

test("crash under containerd: a client's wait, an exec and the exit are as ever", async (t) => {
  if (onlyMoor(t, "a-crash-is-survived")) return;
  const script = "trap 'echo bye; exit 8' TERM; echo up; sleep 1000 & wait";
  const container = await TestContainer.run(scene, { args: ["/bin/sh", "-c", script] });
  await container.init.out.untilText(/up/);
  const shim = shimPidOf(container.init.pid);
  const waiting = container.init.wait();
  await crashShim(shim, bundleOf(container.id));
  await container.execToEnd(["/bin/true"]);
  await crashShim(shim, bundleOf(container.id), "SIGABRT");
  assert.equal(shimPidOf(container.init.pid), shim);
  await container.init.kill(15);
  assert.equal((await waiting).status, 8);
  assert.equal(await container.init.out.allText(), "up\nbye\n");
  const exits = scene.events.of(container.id).filter(({ topic }) => topic === "/tasks/exit");
  assert.deepEqual(
    exits.map(({ fields }) => fields["exitStatus"]),
    [0, 8],
  );
  await container.remove();
});

test("crash under containerd: ctr run -t goes on, and ends with the process's status", async (t) => {
  if (onlyMoor(t, "a-crash-is-survived")) return;
  const id = scene.newId("crash");
  const terminal = new Terminal(scene.ctr.argv(...scene.ctr.runArgs(["-t", "--rm"], id, ["/bin/sh"])), {
    columns: 80,
    rows: 24,
  });
  await terminal.untilShown(/# /);
  const pid = (await scene.ctr.tasks()).get(id)?.pid ?? 0;
  const shim = shimPidOf(pid);
  await crashShim(shim, bundleOf(id));
  terminal.type("echo it's $((6*7))\n".replace("'", ""));
  await terminal.untilShown(/its 42/);
  await crashShim(shim, bundleOf(id), "SIGBUS");
  terminal.type("exit 11\n");
  assert.equal(await terminal.exitStatus(), 11);
});
