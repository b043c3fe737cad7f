// What a runtime may leave of a container: processes in its cgroups, and the cgroups. Where those are is in the runtime's
// own record of the container, so it is read before the runtime is told to delete it.

import { EBUSY, ENOENT, errnoName, isErrno } from "../sys/errno.ts";
import { SIGKILL } from "../sys/flags.ts";
import { isCostlyJson } from "../sys/json-cost.ts";
import type { Log } from "../sys/log.ts";
import { readMountInfo } from "../sys/mount-info.ts";
import type { Pid, Sys } from "../sys/sys.d.ts";

const maxRecordBytes = 4 << 20;
const maxProcsBytes = 8 << 20;
const DT_DIR = 4;
/** Between two looks at processes that have been killed. */
const pauseMs = 10;

/**
 * The folders of the container's cgroups: from runc's state.json (cgroup_paths), else crun's status (cgroup-path), else
 * linux.cgroupsPath of the spec when that is a path. Only such as lie inside a cgroup file system and are not its top.
 */
export function findCgroups(sys: Sys, runtimeRoot: string, id: string, bundle: string): string[] {
  const mounts = readMountInfo(sys).filter(({ type }) => type === "cgroup" || type === "cgroup2");
  const tops = mounts.map(({ mountPoint }) => mountPoint);
  const below = (path: string): string[] => tops.map((top) => `${top}${path}`);
  const found = [
    ...namesIn(readJson(sys, `${runtimeRoot}/${id}/state.json`), "cgroup_paths"),
    ...namesIn(readJson(sys, `${runtimeRoot}/${id}/status`), "cgroup-path").flatMap(below),
  ];
  if (found.length === 0) found.push(...namesIn(readJson(sys, `${bundle}/config.json`), "cgroupsPath").flatMap(below));
  const inside = (path: string) => tops.some((top) => path.startsWith(`${top}/`) && path.length > top.length + 1);
  const plain = found.map((path) => path.replace(/\/+/g, "/").replace(/\/$/, ""));
  return [...new Set(plain)].filter((path) => inside(path) && !/\/\.\.?(\/|$)/.test(path));
}

/**
 * Kills what is in the cgroups and below, and removes them. Cgroups that are not there are fine.
 * @returns whether nothing is left, within the time.
 */
export async function clearCgroups(sys: Sys, log: Log, folders: readonly string[], withinMs: number): Promise<boolean> {
  const untilMs = sys.monotonicMs() + withinMs;
  for (;;) {
    let isLeft = false;
    for (const folder of folders) {
      if (sys.stat(folder) === ENOENT) continue;
      // A process in a frozen cgroup (version 1) does not even die of SIGKILL. Failing: there is no such file.
      sys.writeText(`${folder}/freezer.state`, "THAWED", 0, 0);
      sys.writeText(`${folder}/cgroup.kill`, "1", 0, 0);
      if (killBelow(sys, folder)) isLeft = true;
      else if (!removeBelow(sys, log, folder)) isLeft = true;
    }
    if (!isLeft) return true;
    if (sys.monotonicMs() > untilMs) return false;
    await new Promise<void>((resolve) => void sys.timerStart(pauseMs, resolve));
  }
}

/** SIGKILL to each process in the cgroup and below. @returns whether there was any. */
function killBelow(sys: Sys, folder: string): boolean {
  const procs = `${folder}/cgroup.procs`;
  let isAny = false;
  for (const pid of readPids(sys, procs)) {
    isAny = true;
    // The pidfd holds on to one process; if the cgroup still has that pid now, it is the one meant.
    const pidfd = sys.pidfdOpen(pid);
    if (isErrno(pidfd)) continue;
    if (readPids(sys, procs).includes(pid)) sys.pidfdSignal(pidfd, SIGKILL);
    sys.close(pidfd);
  }
  for (const below of subfolders(sys, folder)) if (killBelow(sys, below)) isAny = true;
  return isAny;
}

/** @returns whether the cgroup is gone. */
function removeBelow(sys: Sys, log: Log, folder: string): boolean {
  for (const below of subfolders(sys, folder)) if (!removeBelow(sys, log, below)) return false;
  const status = sys.rmdir(folder);
  if (status === 0 || status === ENOENT) return true;
  // EBUSY: a process that has just been killed is not quite gone.
  if (status !== EBUSY) log.warn("a cgroup cannot be removed", { folder, error: errnoName(status) });
  return false;
}

function subfolders(sys: Sys, folder: string): string[] {
  const entries = sys.readdir(folder);
  if (isErrno(entries)) return [];
  return entries.filter(([, type]) => type === DT_DIR).map(([name]) => `${folder}/${name}`);
}

function readPids(sys: Sys, path: string): Pid[] {
  const text = sys.readText(path, maxProcsBytes);
  if (isErrno(text)) return [];
  // 0 stands for a process that this pid namespace does not see.
  return text
    .split("\n")
    .map(Number)
    .filter((pid) => pid > 0) as Pid[];
}

/** Undefined when there is no such file or it makes no sense: then it tells nothing. */
function readJson(sys: Sys, path: string): unknown {
  const text = sys.readText(path, maxRecordBytes);
  if (isErrno(text) || isCostlyJson(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The absolute paths in this field: a text, or an object of texts; for a spec's the field is in `linux`. */
function namesIn(record: unknown, field: string): string[] {
  if (!isObject(record)) return [];
  const value = record[field] ?? (isObject(record["linux"]) ? record["linux"][field] : undefined);
  const values = isObject(value) ? Object.values(value) : [value];
  return values.filter((path): path is string => typeof path === "string" && path.startsWith("/"));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
