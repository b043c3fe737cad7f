// Containers of one group whose shims are two programs, as on a node that changes its shim under running pods: Moor joins
// the stock shim of the daemon's own version, and that joins Moor. Whoever comes second is served by the first, and
// `start` must tell the daemon what that one speaks.

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { test } from "node:test";
import { TestContainer } from "./harness/container.ts";
import { onlyMoor } from "./harness/difference.ts";
import { shimSocketPath } from "./harness/leaks.ts";
import { isAlive, processInfo } from "./harness/processes.ts";
import { runtimeName } from "./harness/repository.ts";
import { useScene } from "./harness/scene.ts";
import { until } from "./harness/until.ts";

const scene = useScene();
const stock = "io.containerd.runc.v2";

for (const [first, second] of [
  [stock, runtimeName],
  [runtimeName, stock],
] as const) {
  test(`mixed shims: ${second} joins ${first}: both live in one shim, and after the daemon's death too`, async (t) => {
    if (onlyMoor(t, "one-binary-for-every-containerd")) return;
    const group = scene.newId("group");
    const annotations = { "io.containerd.runc.v2.group": group };
    const host = await TestContainer.run(scene, { args: ["/bin/cat"], stdin: true, annotations, runtime: first });
    await host.init.stdin.open();
    const shimPid = processInfo(host.init.pid)?.ppid ?? 0;
    const guest = await TestContainer.run(scene, {
      args: ["/bin/payload", "signals"],
      annotations,
      runtime: second,
    });
    assert.equal(processInfo(guest.init.pid)?.ppid, shimPid);
    await guest.init.out.untilText(/ready/);
    assert.equal((await guest.execToEnd(["/bin/sh", "-c", "echo here; exit 3"])).status, 3);
    const { processes } = await scene.api.pids(guest.id);
    assert.deepEqual(
      processes.map(({ pid }) => pid),
      [guest.init.pid],
    );
    await scene.daemon.kill9();
    await scene.daemon.start();
    scene.events.subscribe(scene.api, scene.namespace);
    assert.equal((await guest.init.state()).status, "RUNNING");
    assert.equal((await guest.execToEnd(["/bin/echo", "again"])).stdout, "again\n");
    const waiting = guest.init.wait();
    await guest.init.kill(15);
    assert.equal((await waiting).status, 15);
    assert.equal((await scene.events.untilEvent(guest.id, "exit", guest.id)).fields["exitStatus"], 15);
    assert.equal((await guest.delete()).status, 15);
    // The first one's own life goes on.
    await host.init.stdin.write("still here\n");
    await host.init.out.untilText(/still here/);
    await host.init.closeStdin();
    assert.equal((await host.end()).status, 0);
    await until("the shim to go with its last container", 10_000, () => !isAlive(shimPid));
    // The stock shim of containerd 2 takes away the socket that its first container would have without a group.
    if (first === stock) rmSync(shimSocketPath(scene.daemon.address, scene.namespace, group), { force: true });
  });
}
