import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { ESRCH } from "../sys/errno.ts";
import { MoorError } from "../sys/error.ts";
import type { Fd, Pid, Sys } from "../sys/sys.d.ts";
import { findCgroup } from "./cgroup.ts";
import { FixtureTree, hybridMounts, testPid, unifiedMounts } from "./tree.fixture.ts";

const hybridProc =
  "12:name=systemd:/machine/c1\n8:pids:/c/c1\n7:blkio:/c/c1\n6:freezer:/c/c1\n4:memory:/c/c1\n3:rdma:/\n2:cpu,cpuacct:/c/c1\n0::/\n";

function hybrid(t: TestContext, files: Record<string, string> = {}, root?: string): FixtureTree {
  const tree = new FixtureTree({ "proc/42/cgroup": hybridProc, "proc/self/cgroup": "8:pids:/shim\n0::/\n", ...files });
  tree.write("proc/self/mountinfo", hybridMounts(tree.top, root));
  t.after(() => tree.end());
  return tree;
}

function unified(t: TestContext, files: Record<string, string> = {}): FixtureTree {
  const tree = new FixtureTree({ "proc/42/cgroup": "0::/pod/c1\n", "proc/self/cgroup": "0::/pod\n", ...files });
  tree.write("proc/self/mountinfo", unifiedMounts(tree.top));
  t.after(() => tree.end());
  return tree;
}

const isNotFound = (thrown: unknown): boolean => thrown instanceof MoorError && thrown.code === "not_found";

test("findCgroup: of a hybrid machine are the version 1 folders, without hierarchies where it is in the root", (t) => {
  const tree = hybrid(t);
  const { data } = findCgroup(tree.sys, testPid, tree.kernel);
  assert.equal(data.version, 1);
  const controllers = ["blkio", "cpu", "cpuacct", "freezer", "memory", "name=systemd", "pids"];
  assert.deepEqual(Object.keys(data.folders).sort(), controllers);
  assert.equal(data.folders["cpuacct"], join(tree.top, "cpu,cpuacct/c/c1"));
  assert.equal(data.folders["name=systemd"], join(tree.top, "systemd/machine/c1"));
});

test("findCgroup: where a mount shows a part only, the part's own path is left out", (t) => {
  const tree = hybrid(t, {}, "/c");
  assert.equal(findCgroup(tree.sys, testPid, tree.kernel).data.folders["memory"], join(tree.top, "memory/c1"));
});

test("findCgroup: of a unified machine is one folder; escapes in mountinfo are undone", (t) => {
  const tree = unified(t);
  const { data } = findCgroup(tree.sys, testPid, tree.kernel);
  assert.deepEqual(data, { version: 2, folders: { "": join(tree.top, "uni fied/pod/c1") } });
});

test("findCgroup: a named hierarchy beside the unified one does not make version 1", (t) => {
  const tree = unified(t, { "proc/42/cgroup": "1:name=systemd:/pod/c1\n0::/pod/c1\n" });
  const named = `40 31 0:37 / ${tree.top}/systemd rw - cgroup cgroup rw,seclabel,xattr,name=systemd\n`;
  tree.write("proc/self/mountinfo", unifiedMounts(tree.top) + named);
  assert.equal(findCgroup(tree.sys, testPid, tree.kernel).version, 2);
});

test("findCgroup: paths outside the caller's cgroup namespace that nothing shows are refused", (t) => {
  const tree = unified(t, { "proc/42/cgroup": "0::/../other/c1\n" });
  assert.throws(() => findCgroup(tree.sys, testPid, tree.kernel), isNotFound);
});

test("findCgroup: a process that is gone, or in our own cgroup, has none", (t) => {
  const tree = unified(t, { "proc/42/cgroup": "0::/pod\n" });
  assert.throws(() => findCgroup(tree.sys, testPid, tree.kernel), isNotFound);
  tree.remove("proc/42");
  assert.throws(() => findCgroup(tree.sys, testPid, tree.kernel), isNotFound);
});

test("Cgroup.pids: walks the whole subtree, and tolerates cgroups that go meanwhile", (t) => {
  const tree = hybrid(t, {
    "pids/c/c1/cgroup.procs": "300\n20\n",
    "pids/c/c1/a/cgroup.procs": "7\n0\n",
    "pids/c/c1/a/b/cgroup.procs": "20\n8\n",
    "pids/c/c1/gone/other": "",
  });
  const cgroup = findCgroup(tree.sys, testPid, tree.kernel);
  assert.deepEqual(cgroup.pids(), [7, 8, 20, 300]);
  tree.remove("pids/c");
  assert.deepEqual(cgroup.pids(), []);
});

test("Cgroup.isFrozen, thaw: version 1", (t) => {
  const tree = hybrid(t, { "freezer/c/c1/freezer.state": "FREEZING\n" });
  const cgroup = findCgroup(tree.sys, testPid, tree.kernel);
  assert.equal(cgroup.isFrozen(), true);
  cgroup.thaw();
  assert.match(tree.read("freezer/c/c1/freezer.state"), /^THAWED/);
  tree.write("freezer/c/c1/freezer.state", "THAWED\n");
  assert.equal(cgroup.isFrozen(), false);
  tree.remove("freezer");
  assert.equal(cgroup.isFrozen(), false);
  assert.throws(() => cgroup.thaw(), /write .*freezer.state: ENOENT/);
});

test("Cgroup.isFrozen, thaw: version 2, also when a cgroup above is frozen", (t) => {
  const tree = unified(t, { "uni fied/pod/c1/cgroup.freeze": "1\n" });
  const cgroup = findCgroup(tree.sys, testPid, tree.kernel);
  assert.equal(cgroup.isFrozen(), true);
  cgroup.thaw();
  assert.match(tree.read("uni fied/pod/c1/cgroup.freeze"), /^0/);
  tree.write("uni fied/pod/c1/cgroup.freeze", "0\n");
  assert.equal(cgroup.isFrozen(), false);
  tree.write("uni fied/pod/c1/cgroup.events", "populated 1\nfrozen 1\n");
  assert.equal(cgroup.isFrozen(), true);
});

test("Cgroup.watchOom: version 1 tells of each signal, but not of the cgroup's end", (t) => {
  const tree = hybrid(t, { "memory/c/c1/memory.oom_control": "oom_kill 0\n", "memory/c/c1/cgroup.event_control": "" });
  let ooms = 0;
  const watch = findCgroup(tree.sys, testPid, tree.kernel).watchOom(() => ooms++);
  const [fd = -1] = tree.openFds;
  assert.equal(tree.openFds.size, 1, "the control file is closed again");
  assert.match(tree.read("memory/c/c1/cgroup.event_control"), new RegExp(`^${fd} \\d+$`));
  tree.signal(fd, 8);
  tree.polls.get(fd)?.(1);
  assert.equal(ooms, 1, "a wake-up without a count is nothing");
  tree.waiting.set(fd, 8);
  watch.check();
  assert.equal(ooms, 2);
  tree.remove("memory");
  tree.signal(fd, 8);
  assert.equal(ooms, 2);
  assert.equal(tree.openFds.size, 0);
  watch.stop();
  watch.check();
});

test("Cgroup.watchOom: version 2 tells when the kills have grown; check finds what no event has told yet", (t) => {
  const tree = unified(t, { "uni fied/pod/c1/memory.events": "oom 0\noom_kill 0\n" });
  let ooms = 0;
  const watch = findCgroup(tree.sys, testPid, tree.kernel).watchOom(() => ooms++);
  const [fd = -1] = tree.openFds;
  tree.signal(fd, 16);
  assert.equal(ooms, 0);
  tree.write("uni fied/pod/c1/memory.events", "oom 2\noom_kill 2\n");
  tree.signal(fd, 32);
  assert.equal(ooms, 1);
  tree.write("uni fied/pod/c1/memory.events", "oom 3\noom_kill 3\n");
  watch.check();
  watch.check();
  assert.equal(ooms, 2);
  watch.stop();
  watch.stop();
  assert.deepEqual([tree.openFds.size, tree.polls.size], [0, 0]);
});

test("Cgroup.watchOom: a refusal leaves no fd behind", (t) => {
  const one = hybrid(t);
  assert.throws(() => findCgroup(one.sys, testPid, one.kernel).watchOom(() => undefined), /memory.oom_control: ENOENT/);
  const two = unified(t);
  assert.throws(() => findCgroup(two.sys, testPid, two.kernel).watchOom(() => undefined), /out of memory: ENOENT/);
  assert.deepEqual([one.openFds.size, two.openFds.size], [0, 0]);
});

/** pidfds of a tree's pids; `onSignal` is called with each signal that is sent, and `gone` pids have ended. */
function withPidfds(tree: FixtureTree, onSignal: (pid: number, signal: number) => void, gone: readonly number[] = []) {
  const open = new Map<number, number>();
  const calls: Partial<Sys> = {
    pidfdOpen: (pid) => {
      if (gone.includes(pid)) return ESRCH;
      open.set(1000 + pid, pid);
      return (1000 + pid) as Fd;
    },
    pidfdSignal: (fd, signal) => {
      onSignal(open.get(fd) ?? 0, signal);
      return 0;
    },
    close: (fd) => {
      open.delete(fd);
      return 0;
    },
  };
  const sys = new Proxy(tree.sys, {
    get: (target, name) => Reflect.get(name in calls ? calls : target, name) as unknown,
  });
  return { sys, open };
}

test("signalAll: each process in the cgroup and below, once; one that has just ended is passed over", (t) => {
  const tree = hybrid(t, { "pids/c/c1/cgroup.procs": "42\n43\n44\n", "pids/c/c1/below/cgroup.procs": "50\n" });
  const sent: string[] = [];
  const { sys, open } = withPidfds(tree, (pid, signal) => sent.push(`${pid}:${signal}`), [43]);
  assert.equal(findCgroup(sys, testPid, tree.kernel).signalAll(15), true);
  assert.deepEqual(sent, ["42:15", "44:15", "50:15"]);
  assert.equal(open.size, 0);
});

test("signalAll: a pid that left the cgroup after it was looked up is not signalled", (t) => {
  const tree = hybrid(t, { "pids/c/c1/cgroup.procs": "42\n43\n" });
  const sent: number[] = [];
  const { sys } = withPidfds(tree, (pid) => sent.push(pid));
  const held = new Proxy(sys, {
    get: (target, name) =>
      name === "pidfdOpen"
        ? (pid: Pid) => {
            tree.write("pids/c/c1/cgroup.procs", "42\n");
            return target.pidfdOpen(pid);
          }
        : (Reflect.get(target, name) as unknown),
  });
  findCgroup(held, testPid, tree.kernel).signalAll(15);
  assert.deepEqual(sent, [42]);
});

test("signalAll: SIGKILL finds those too that were made meanwhile, another signal does not look again", (t) => {
  for (const [signal, expected] of [
    [9, [42, 43]],
    [15, [42]],
  ] as const) {
    const tree = hybrid(t, { "pids/c/c1/cgroup.procs": "42\n" });
    const sent: number[] = [];
    const { sys } = withPidfds(tree, (pid) => {
      sent.push(pid);
      tree.write("pids/c/c1/cgroup.procs", "42\n43\n");
    });
    findCgroup(sys, testPid, tree.kernel).signalAll(signal);
    assert.deepEqual(sent, expected);
  }
});

test("signalAll: an empty cgroup has nobody", (t) => {
  const tree = hybrid(t, { "pids/c/c1/cgroup.procs": "" });
  assert.equal(findCgroup(tree.sys, testPid, tree.kernel).signalAll(9), false);
});
