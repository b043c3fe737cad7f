// A cpu cgroup for all of the bench, as containerd has one on a node, where it is a service. In the root cgroup the kernel
// shares the processors out by sessions (sched_autogroup): on a busy machine a shim in a session of its own would then
// compete with other things than one that stays in the bench's.

import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const roots = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup"];

/** Puts this process, and what it starts from now on, into a cgroup of that name. @returns the way back. */
export function enterCpuGroup(name: string): () => void {
  const root = roots.find(hasCpuController);
  // One who is in some cgroup already has what this is for.
  if (root === undefined || !isInRoot()) return () => undefined;
  const folder = join(root, name);
  mkdirSync(folder);
  writeFileSync(join(folder, "cgroup.procs"), String(process.pid));
  return () => {
    writeFileSync(join(root, "cgroup.procs"), String(process.pid));
    rmdirSync(folder);
  };
}

function hasCpuController(root: string): boolean {
  if (existsSync(join(root, "cpu.shares"))) return true;
  const enabled = join(root, "cgroup.subtree_control");
  return existsSync(enabled) && readFileSync(enabled, "utf8").split(/\s/).includes("cpu");
}

/** By the line of the cpu controller, or in version 2 the only one. */
function isInRoot(): boolean {
  const lines = readFileSync("/proc/self/cgroup", "utf8").trim().split("\n");
  return lines.some((line) => /^\d+:(?:[^:]*,)?cpu(?:,[^:]*)?:\/$/.test(line) || line === "0::/");
}
