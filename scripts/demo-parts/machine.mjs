// What the demonstrations look at on the machine itself, past all clients: processes and their tree, mounts, cgroups,
// sockets and folders that belong to one container, found by its name in /proc and /sys.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { assert, say, seen, until } from "./story.mjs";

const settleSeconds = 3;
const longest = 72;

function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function list(dir) {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}

function statOf(pid) {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === "") return undefined;
  const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { state, parent: Number(parent), name: stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")")) };
}

/** Whether the process is there, be it as a zombie. */
export function isThere(pid) {
  return statOf(pid) !== undefined;
}

export function parentOf(pid) {
  return statOf(pid)?.parent;
}

/** How a process calls itself, cut to fit a line; of the program only the file's name. */
export function commandOf(pid) {
  const [program = `[${statOf(pid)?.name}]`, ...words] = read(`/proc/${pid}/cmdline`).split("\0").slice(0, -1);
  const text = [basename(program), ...words.filter((word) => word !== "")].join(" ").replace(/\s+/g, " ");
  return text.length > longest ? `${text.slice(0, longest - 3)}...` : text;
}

function allPids() {
  return list("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** The processes that hold `name` in their arguments, or run in a cgroup of that name. */
export function processesOf(name) {
  return allPids().filter((pid) => {
    if (pid === process.pid) return false;
    return read(`/proc/${pid}/cmdline`).includes(name) || read(`/proc/${pid}/cgroup`).includes(name);
  });
}

/** Prints the tree below `root`, with its resident memory, and returns every pid in it. */
export function showTree(root) {
  const found = [];
  const resident = /^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${root}/status`))?.[1];
  const show = (pid, indent) => {
    found.push(pid);
    const extra = pid === root && resident !== undefined ? `  (${(Number(resident) / 1024).toFixed(1)} MB)` : "";
    say(`${indent}${pid} ${commandOf(pid)}${extra}`);
    for (const child of allPids().filter((each) => parentOf(each) === pid)) show(child, `${indent}  `);
  };
  const parent = parentOf(root);
  say(`${parent} ${statOf(parent)?.name}`);
  show(root, "  ");
  return found;
}

/**
 * Every process of the container is the shim or below it, and none is a runtime, a client or a daemon.
 * @param known processes that the story itself has running
 */
export function checkOnlyShimAndContainer(name, shim, tree, known = []) {
  const others = processesOf(name).filter((pid) => !tree.includes(pid) && !known.includes(pid));
  assert(
    others.length === 0,
    `there are other processes: ${others.map((pid) => `${pid} ${commandOf(pid)}`).join("; ")}`,
  );
  const tools = tree.filter(
    (pid) => pid !== shim && /^(runc|crun|node|moor|ctr|containerd)/.test(statOf(pid)?.name ?? ""),
  );
  assert(tools.length === 0, `tools are still there: ${tools.map((pid) => commandOf(pid)).join("; ")}`);
  seen("nothing but the shim and the container: no runtime, no client");
}

function cgroupsOf(name) {
  const found = [];
  const walk = (dir, depth) => {
    for (const entry of list(dir)) {
      const path = join(dir, entry);
      if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) continue;
      if (entry.includes(name)) found.push(path);
      else if (depth > 0) walk(path, depth - 1);
    }
  };
  walk("/sys/fs/cgroup", 4);
  return found;
}

/**
 * What is left of the container, by kind.
 * @param sockets paths at which its shim listened
 * @param folders that were made for it, with the FIFOs in them
 */
function leftovers(name, sockets, folders) {
  const lines = (path) =>
    read(path)
      .split("\n")
      .filter((line) => line.includes(name));
  const bound = read("/proc/net/unix").split("\n");
  return {
    processes: processesOf(name).map((pid) => `${pid} ${commandOf(pid)}`),
    mounts: lines("/proc/self/mountinfo"),
    cgroups: cgroupsOf(name),
    sockets: sockets.filter((path) => existsSync(path) || bound.some((line) => line.endsWith(` ${path}`))),
    "FIFOs and folders": folders.filter((path) => existsSync(path)),
  };
}

/** Looks for all of it for a short while, and ends the story if something stays. */
export async function checkNothingLeft(name, sockets, folders) {
  let left = leftovers(name, sockets, folders);
  const isClear = () => {
    left = leftovers(name, sockets, folders);
    return Object.values(left).every((found) => found.length === 0);
  };
  await until("everything to be gone", settleSeconds, isClear).catch(() => undefined);
  for (const [kind, found] of Object.entries(left)) {
    if (found.length === 0) seen(`${kind}: none`);
    else say(`${kind}: ${found.join(", ")}`);
  }
  assert(
    Object.values(left).every((found) => found.length === 0),
    "something is left",
  );
}

/** Ends and removes what is left of a container whose story broke off: its processes, the runtime's record, cgroups. */
export function clearAway(name, runtimeRoot, sockets) {
  for (const pid of processesOf(name)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }
  for (let round = 0; round < 100 && processesOf(name).length > 0; round++) spawnSync("sleep", ["0.02"]);
  spawnSync("runc", ["--root", runtimeRoot, "delete", "--force", name]);
  for (const dir of cgroupsOf(name)) rmdirSync(dir);
  for (const path of sockets) rmSync(path, { force: true });
}
