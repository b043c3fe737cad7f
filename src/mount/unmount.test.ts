import assert from "node:assert/strict";
import { test } from "node:test";
import { EBUSY, EINVAL, ENOENT, EPERM } from "../sys/errno.ts";
import { Recorder } from "./recorder.fixture.ts";
import { unmountAll } from "./unmount.ts";

test("unmountAll: unmounts below before above, the covering before the covered, and nothing beside", async () => {
  const recorder = new Recorder();
  recorder.mountPoints = ["/", "/b/rootfs", "/b/rootfs/x\\040y", "/b/rootfs/x\\040y/z", "/b/rootfs", "/b/rootfs2"];
  recorder.sys.umount = (target) => {
    recorder.calls.push(target);
    recorder.mountPoints.splice(recorder.mountPoints.lastIndexOf(target.replace(" ", "\\040")), 1);
    return 0;
  };
  assert.deepEqual(await unmountAll(recorder.sys, "/b/rootfs/"), []);
  assert.deepEqual(recorder.calls, ["/b/rootfs/x y/z", "/b/rootfs/x y", "/b/rootfs", "/b/rootfs"]);
  assert.deepEqual(recorder.mountPoints, ["/", "/b/rootfs2"]);
  assert.equal(recorder.openPaths.size, 0);
});

test("unmountAll: where nothing is mounted, or nothing is at all, there is nothing to do", async () => {
  const recorder = new Recorder();
  recorder.mountPoints = ["/"];
  assert.deepEqual(await unmountAll(recorder.sys, "/b/rootfs"), []);
  recorder.failures.push(["open /b", ENOENT]);
  assert.deepEqual(await unmountAll(recorder.sys, "/b/rootfs"), []);
  assert.deepEqual(recorder.calls, []);
});

test("unmountAll: tries again while it is busy", async () => {
  const recorder = new Recorder();
  recorder.mountPoints = ["/b/rootfs"];
  recorder.failures.push(["umount", EBUSY], ["umount", EBUSY]);
  const done = unmountAll(recorder.sys, "/b/rootfs");
  let pauses = 0;
  for (let turn = 0; turn < 20; turn++) {
    await Promise.resolve();
    const timer = recorder.timers.shift();
    if (timer !== undefined) pauses++;
    timer?.();
  }
  assert.deepEqual(await done, []);
  assert.equal(pauses, 2);
});

test("unmountAll: detaches what stays busy, and says so", async () => {
  const recorder = new Recorder();
  recorder.mountPoints = ["/b/rootfs"];
  for (let tries = 0; tries < 50; tries++) recorder.failures.push(["umount /b/rootfs 8", EBUSY]);
  recorder.sys.timerStart = (_delayMs, fn) => {
    void Promise.resolve().then(fn);
    return 1 as never;
  };
  assert.deepEqual(await unmountAll(recorder.sys, "/b/rootfs"), ["/b/rootfs"]);
  assert.equal(recorder.calls.at(-1), "umount /b/rootfs 10");
});

test("unmountAll: a mount that went with another is no error; a refusal is", async () => {
  const recorder = new Recorder();
  recorder.mountPoints = ["/b/rootfs", "/b/rootfs/x"];
  recorder.sys.umount = (target) => {
    recorder.mountPoints = [];
    return target.endsWith("x") ? 0 : EINVAL;
  };
  assert.deepEqual(await unmountAll(recorder.sys, "/b/rootfs"), []);
  recorder.mountPoints = ["/b/rootfs"];
  recorder.sys.umount = () => EPERM;
  await assert.rejects(unmountAll(recorder.sys, "/b/rootfs"), /unmount \/b\/rootfs: EPERM/);
});
