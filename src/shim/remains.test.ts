import assert from "node:assert/strict";
import { test } from "node:test";
import { EBUSY, ENOENT } from "../sys/errno.ts";
import type { Fd, Pid, Sys } from "../sys/sys.d.ts";
import { SmallSystem } from "./small-system.fixture.ts";
import { clearCgroups, findCgroups } from "./remains.ts";

const mounts =
  "30 1 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n" +
  "31 1 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" +
  "32 1 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n" +
  "33 1 0:29 / / rw - ext4 /dev/root rw\n";

function files(named: Readonly<Record<string, unknown>>): Sys {
  const system = new SmallSystem();
  const put = (path: string, text: string) => system.files.set(path, new TextEncoder().encode(text));
  put("/proc/self/mountinfo", mounts);
  for (const [path, content] of Object.entries(named)) {
    put(path, typeof content === "string" ? content : JSON.stringify(content));
  }
  return system.sys;
}

test("findCgroups: as runc has recorded them, each once", () => {
  const cgroups = {
    memory: "/sys/fs/cgroup/memory/ns/c1",
    pids: "/sys/fs/cgroup/pids/ns/c1/",
    cpu: "/sys/fs/cgroup/pids/ns/c1",
  };
  const sys = files({ "/root/ns/c1/state.json": { cgroup_paths: cgroups } });
  assert.deepEqual(findCgroups(sys, "/root/ns", "c1", "/b"), [
    "/sys/fs/cgroup/memory/ns/c1",
    "/sys/fs/cgroup/pids/ns/c1",
  ]);
});

test("findCgroups: as crun has recorded it, else by the spec", () => {
  const everywhere = ["unified", "memory", "pids"].map((name) => `/sys/fs/cgroup/${name}/ns/c1`);
  const crun = files({
    "/root/ns/c1/status": { "cgroup-path": "/ns/c1" },
    "/b/config.json": { linux: { cgroupsPath: "/x" } },
  });
  assert.deepEqual(findCgroups(crun, "/root/ns", "c1", "/b"), everywhere);
  const spec = files({ "/b/config.json": { linux: { cgroupsPath: "/ns/c1" } } });
  assert.deepEqual(findCgroups(spec, "/root/ns", "c1", "/b"), everywhere);
});

test("findCgroups: never a whole hierarchy, nor a place outside, nor what makes no sense", () => {
  for (const path of ["/", "//", "/..", "/ns/../..", "system.slice:cri:c1", "", 7, null]) {
    assert.deepEqual(findCgroups(files({ "/b/config.json": { linux: { cgroupsPath: path } } }), "/r", "c1", "/b"), []);
  }
  for (const path of [
    "/sys/fs/cgroup/memory",
    "/home/c1",
    "/sys/fs/cgroup/memory/../../x",
    "/sys/fs/cgroup/memoryx/c1",
  ]) {
    assert.deepEqual(
      findCgroups(files({ "/r/c1/state.json": { cgroup_paths: { memory: path } } }), "/r", "c1", "/b"),
      [],
    );
  }
  assert.deepEqual(findCgroups(files({ "/r/c1/state.json": "{", "/r/c1/status": "null" }), "/r", "c1", "/b"), []);
});

/** cgroups by folder, each with its pids; a killed process is gone after some looks. */
function cgroupfs(folders: Map<string, number[]>, looksToDie: number) {
  const dying = new Map<number, number>();
  const killed: number[] = [];
  const fds = new Map<number, number>();
  let nowMs = 0;
  const inside = (folder: string) => [...folders.keys()].filter((path) => path.startsWith(`${folder}/`));
  const sys = {
    monotonicMs: () => nowMs,
    timerStart: (ms: number, fn: () => void) => {
      nowMs += ms;
      for (const [pid, left] of dying) {
        dying.set(pid, left - 1);
        if (left > 1) continue;
        for (const [path, pids] of folders)
          folders.set(
            path,
            pids.filter((other) => other !== pid),
          );
      }
      setImmediate(fn);
      return 0;
    },
    writeText: () => ENOENT,
    readText: (path: string) =>
      folders
        .get(path.replace("/cgroup.procs", ""))
        ?.map((pid) => `${pid}\n`)
        .join("") ?? ENOENT,
    stat: (folder: string) => (folders.has(folder) ? {} : ENOENT),
    readdir: (folder: string) => {
      if (!folders.has(folder)) return ENOENT;
      const names = inside(folder).map((path) => path.slice(folder.length + 1));
      return [["cgroup.procs", 8], ...names.filter((name) => !name.includes("/")).map((name) => [name, 4])];
    },
    rmdir: (folder: string) => {
      if (!folders.has(folder)) return ENOENT;
      if (inside(folder).length > 0 || (folders.get(folder) ?? []).length > 0) return EBUSY;
      folders.delete(folder);
      return 0;
    },
    pidfdOpen: (pid: Pid) => {
      fds.set(100 + pid, pid);
      return (100 + pid) as Fd;
    },
    pidfdSignal: (fd: Fd, signal: number) => {
      assert.equal(signal, 9);
      const pid = fds.get(fd) as number;
      killed.push(pid);
      if (!dying.has(pid)) dying.set(pid, looksToDie);
      return 0;
    },
    close: (fd: Fd) => (fds.delete(fd) ? 0 : ENOENT),
  } as unknown as Sys;
  return { sys, killed, fds };
}

test("clearCgroups: processes are killed, those below included, and the cgroups are gone", async () => {
  const folders = new Map([
    ["/m/c1", [5]],
    ["/m/c1/below", [6, 7]],
    ["/m/c1/below/more", []],
    ["/m/other", [8]],
  ]);
  const { sys, killed, fds } = cgroupfs(folders, 3);
  const { log, logged } = new SmallSystem();
  assert.equal(await clearCgroups(sys, log, ["/m/c1", "/p/not-there"], 500), true);
  assert.deepEqual(new Set(killed), new Set([5, 6, 7]));
  assert.deepEqual([...folders], [["/m/other", [8]]]);
  assert.equal(fds.size, 0);
  assert.deepEqual(logged, []);
});

test("clearCgroups: what does not die within the time is told", async () => {
  const { sys } = cgroupfs(new Map([["/m/c1", [5]]]), 1_000);
  assert.equal(await clearCgroups(sys, new SmallSystem().log, ["/m/c1"], 500), false);
});
