import assert from "node:assert/strict";
import { test } from "node:test";
import type { Exit } from "../reaper/reaper.ts";
import { EBUSY, EINVAL, ENOENT, EPERM } from "../sys/errno.ts";
import { MoorError } from "../sys/error.ts";
import type { Pid, SpawnRequest } from "../sys/sys.d.ts";
import { type Mount, mountAll } from "./mount.ts";
import { MS_BIND, MS_NOATIME, MS_NODEV, MS_NOSUID, MS_RDONLY, MS_REC, MS_RELATIME, MS_REMOUNT } from "./options.ts";
import { Recorder } from "./recorder.fixture.ts";

const rootfs = "/bundle/rootfs";
const noSpawner = {
  spawn(): never {
    throw new Error("nothing is to be started");
  },
};

function mount(type: string, source: string, options: string[], target = ""): Mount {
  return { type, source, target, options };
}

async function callsFor(mounts: Mount[], recorder = new Recorder()): Promise<string[]> {
  await mountAll(recorder.sys, mounts, rootfs, noSpawner);
  assert.equal(recorder.openPaths.size, 0, "no fd is left");
  return recorder.calls;
}

test("mountAll: nothing to mount touches nothing", async () => {
  assert.deepEqual(await callsFor([]), []);
});

test("mountAll: an overlay is one call", async () => {
  const options = ["index=off", "workdir=/s/3/work", "upperdir=/s/3/fs", "lowerdir=/s/2/fs:/s/1/fs"];
  assert.deepEqual(await callsFor([mount("overlay", "overlay", options)]), [
    `mkdir ${rootfs}`,
    `mount overlay ${rootfs} overlay 0 ${options.join(",")}`,
  ]);
});

test("mountAll: notes of the daemon for itself are left out", async () => {
  const [, call] = await callsFor([mount("ext4", "/dev/x", ["X-containerd.mkfs=1", "nosuid", "noload"])]);
  assert.equal(call, `mount /dev/x ${rootfs} ext4 ${MS_NOSUID} noload`);
});

test("mountAll: options of 120 layers are made short by mounting from the layers' folder", async () => {
  const recorder = new Recorder();
  const snapshots = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots";
  const layers = Array.from({ length: 120 }, (_, index) => `${snapshots}/${1000 + index}/fs`);
  const options = [`upperdir=${snapshots}/1/fs`, `workdir=${snapshots}/1/work`, `lowerdir=${layers.join(":")}`];
  const calls = await callsFor([mount("overlay", "overlay", options)], recorder);
  const short = `lowerdir=${layers.map((layer) => layer.slice(snapshots.length + 1)).join(":")}`;
  assert.deepEqual(calls.slice(1), [
    `chdir ${snapshots}`,
    `mount overlay ${rootfs} overlay 0 ${options[0]},${options[1]},${short}`,
    "chdir /bundle",
  ]);
  assert.equal(recorder.cwd, "/bundle");
});

test("mountAll: changes back when the mount from the layers' folder fails", async () => {
  const recorder = new Recorder();
  recorder.failures.push(["mount overlay", EINVAL]);
  const layers = Array.from({ length: 120 }, (_, index) => `/some/where/deep/inside/of/the/tree/${1000 + index}/fs`);
  const overlay = mount("overlay", "overlay", [`lowerdir=${layers.join(":")}`]);
  await assert.rejects(
    callsFor([overlay], recorder),
    /^MoorError: mount overlay overlay at .* \(lowerdir=.*\.\.\.\): EINVAL$/,
  );
  assert.equal(recorder.cwd, "/bundle");
  assert.equal(recorder.openPaths.size, 0);
});

test("mountAll: options that no page holds are an error of the caller", async () => {
  const options = [`lowerdir=${Array.from({ length: 900 }, (_, index) => `/layers/${1000 + index}/fs`).join(":")}`];
  const isInvalid = (thrown: unknown): boolean => thrown instanceof MoorError && thrown.code === "invalid_argument";
  await assert.rejects(callsFor([mount("overlay", "overlay", options)]), isInvalid);
});

test("mountAll: a read-only bind is made in two steps and keeps the flags its source has", async () => {
  const recorder = new Recorder();
  recorder.fsFlags = 2 | 4 | 4096;
  const calls = await callsFor([mount("bind", "/src", ["rbind", "ro"])], recorder);
  assert.deepEqual(calls.slice(1), [
    `mount /src ${rootfs} bind ${MS_BIND | MS_REC | MS_RDONLY}`,
    `mount ${rootfs} ${MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_RELATIME}`,
  ]);
});

test("mountAll: a bind's other flags are set too, and taken away where an option says so", async () => {
  const recorder = new Recorder();
  recorder.fsFlags = 2 | 4096;
  const calls = await callsFor([mount("bind", "/src", ["bind", "noatime", "suid"])], recorder);
  assert.equal(calls[2], `mount ${rootfs} ${MS_REMOUNT | MS_BIND | MS_NOATIME | MS_RELATIME}`);
});

test("mountAll: a writable bind of a writable folder needs no second step", async () => {
  const recorder = new Recorder();
  recorder.fsFlags = 4096;
  const calls = await callsFor([mount("bind", "/src", ["rbind", "rw"])], recorder);
  assert.deepEqual(calls.slice(1), [`mount /src ${rootfs} bind ${MS_BIND | MS_REC}`]);
});

test("mountAll: propagation is a call of its own", async () => {
  const calls = await callsFor([mount("bind", "/src", ["rbind", "rprivate"])]);
  assert.deepEqual(calls.slice(1), [
    `mount /src ${rootfs} bind ${MS_BIND | MS_REC}`,
    `mount ${rootfs} ${(1 << 18) | MS_REC}`,
  ]);
});

test("mountAll: a target inside is looked up within the root file system, anew for each step", async () => {
  const calls = await callsFor([mount("overlay", "overlay", []), mount("bind", "/src", ["bind", "ro"], "/etc/x")]);
  assert.deepEqual(calls.slice(2), [
    `mount /src ${rootfs}/etc/x bind ${MS_BIND | MS_RDONLY}`,
    `mount ${rootfs}/etc/x ${MS_REMOUNT | MS_BIND | MS_RDONLY}`,
  ]);
});

test("mountAll: when one fails those before it are unmounted, in reverse", async () => {
  const recorder = new Recorder();
  recorder.failures.push(["mount /c", EPERM], [`umount ${rootfs}/b`, EBUSY]);
  const mounts = [mount("overlay", "a", []), mount("bind", "/b", ["bind"], "b"), mount("bind", "/c", ["bind"], "c")];
  await assert.rejects(callsFor(mounts, recorder), /^MoorError: mount bind \/c at \/bundle\/rootfs\/c: EPERM$/);
  assert.deepEqual(recorder.calls.slice(-3), [`umount ${rootfs}/b 8`, `umount ${rootfs}/b 10`, `umount ${rootfs} 8`]);
});

test("mountAll: a mount whose second step fails is unmounted too; a missing target is an error", async () => {
  const recorder = new Recorder();
  recorder.failures.push([`${MS_REMOUNT | MS_BIND | MS_RDONLY}`, EPERM]);
  await assert.rejects(
    callsFor([mount("bind", "/b", ["bind", "ro"])], recorder),
    /at \/bundle\/rootfs: set its flags: EPERM/,
  );
  assert.equal(recorder.calls.at(-1), `umount ${rootfs} 8`);
  const missing = new Recorder();
  missing.failures.push(["openat2 x/y", ENOENT]);
  await assert.rejects(callsFor([mount("bind", "/b", ["bind"], "x/y")], missing), /find mount target .*x\/y: ENOENT/);
});

test("mountAll: a file is mounted through a loop device, whose fd is closed afterwards", async () => {
  const calls = await callsFor([mount("squashfs", "/image", ["ro", "loop", "direct-io"])]);
  assert.deepEqual(calls.slice(1), ["loop /image true true", `mount /dev/loop3 ${rootfs} squashfs ${MS_RDONLY}`]);
});

test("mountAll: a bind with id maps is one mapped mount", async () => {
  const calls = await callsFor([mount("bind", "/src", ["rbind", "uidmap=0:1000:1,1:5000:9", "gidmap=0:0:10"])]);
  assert.deepEqual(calls.slice(1), ['userns ["0 1000 1\\n1 5000 9\\n","0 0 10\\n"]', `idmap /src ${rootfs} recursive`]);
});

test("mountAll: an overlay with id maps stands on mapped layers", async () => {
  const options = ["lowerdir=/s/2/fs:/s/1/fs", "upperdir=/s/3/fs", "workdir=/s/3/work"];
  const calls = await callsFor([mount("overlay", "overlay", [...options, "uidmap=0:1:1", "gidmap=0:1:1"])]);
  const mapped = `${rootfs}.mapped`;
  assert.deepEqual(calls.slice(2), [
    `mkdir ${mapped}`,
    `idmap /s ${mapped} recursive`,
    `mount overlay ${rootfs} overlay 0 lowerdir=${mapped}/2/fs:${mapped}/1/fs,upperdir=/s/3/fs,workdir=/s/3/work`,
    `umount ${mapped} 10`,
    `rmdir ${mapped}`,
  ]);
});

test("mountAll: another file system with id maps is mapped where it is; bad maps are refused", async () => {
  const calls = await callsFor([mount("ext4", "/dev/x", ["uidmap=0:1:1", "gidmap=0:1:1"])]);
  assert.deepEqual(calls.slice(2), [`mount /dev/x ${rootfs} ext4 0`, `idmap ${rootfs} ${rootfs}`]);
  for (const options of [["uidmap=0:1:1"], ["uidmap=0:1:1", "gidmap=x"]]) {
    const isInvalid = (thrown: unknown): boolean => thrown instanceof MoorError && thrown.code === "invalid_argument";
    await assert.rejects(callsFor([mount("ext4", "/dev/x", options)]), isInvalid);
  }
});

test("mountAll: a FUSE file system is mounted by its helper", async () => {
  const recorder = new Recorder();
  const requests: SpawnRequest[] = [];
  let status = 0;
  const spawner = {
    spawn(request: SpawnRequest) {
      requests.push(request);
      const exit: Exit = { pid: 9 as Pid, status, signal: 0, atNs: 0n };
      return { pid: exit.pid, exited: Promise.resolve(exit), exit: undefined, signal: () => false };
    },
  };
  recorder.memoryText = "no such layer\n";
  const fuse = mount("fuse3.fuse-overlayfs", "overlay", ["lowerdir=/a", "X-containerd.x", "upperdir=/b"]);
  await mountAll(recorder.sys, [fuse], rootfs, spawner);
  const words = ["overlay", rootfs, "-o", "lowerdir=/a", "-o", "upperdir=/b", "-t", "fuse-overlayfs"];
  assert.deepEqual(requests[0]?.argv, ["mount.fuse3", ...words]);
  status = 1;
  await assert.rejects(
    mountAll(recorder.sys, [fuse], rootfs, spawner),
    /mount.fuse3 for .* ended with status 1: no such layer/,
  );
  assert.equal(recorder.openPaths.size, 0);
});
