// The action `delete`: takes away all that is left of one container, whether its shim lives or not, and answers how it
// ended. Every step is tried whatever became of the one before, none waits without a bound, and a second time finds
// nothing to do and answers the same. It touches nothing of other containers, of the same shim or not.

import { DeleteResponse } from "../api/task.ts";
import { unmountAll, MNT_DETACH, UMOUNT_NOFOLLOW } from "../mount/unmount.ts";
import { groupOf, readSpec } from "../oci/bundle.ts";
import { readOptions } from "../oci/options-file.ts";
import { defaultOptions, type RuntimeOptions } from "../oci/options.ts";
import { Runtime, runtimeConfig } from "../oci/runtime.ts";
import { settledWithin, withDeadline } from "../reaper/deadline.ts";
import { Reaper } from "../reaper/reaper.ts";
import { ENOENT, isErrno } from "../sys/errno.ts";
import { MoorError, must } from "../sys/error.ts";
import { SIGCHLD } from "../sys/flags.ts";
import { passGate } from "../sys/gates.ts";
import type { Log } from "../sys/log.ts";
import type { Fd, Sys } from "../sys/sys.d.ts";
import { answers, defaultSocketFolder, pathOfAddress, socketPath } from "./address.ts";
import type { ShimArguments } from "./arguments.ts";
import { type ExitRecord, readExitRecords } from "./exit-records.ts";
import { checkIdentifier } from "./identifier.ts";
import { formatLine } from "./logger.ts";
import { clearCgroups, findCgroups } from "./remains.ts";
import { lockSocketFolder, removeStaleSocket } from "./socket-folder.ts";
import { leftEventsFile } from "./spool.ts";
import { variable } from "./start.ts";
import { wireTime } from "./time.ts";

/** Together below the 5 s that a daemon gives `delete`, milliseconds. */
const runtimeWithinMs = 2_000;
const secondTryWithinMs = 400;
const cgroupsWithinMs = 500;
const unmountWithinMs = 1_000;
const lockPatienceMs = 500;

/** What the stock shim answers when nobody knows how the container ended: as of SIGKILL. */
const unknownStatus = 137;

/**
 * Deletes the container's remains.
 * @returns the encoded DeleteResponse.
 * @throws MoorError invalid_argument for a namespace or id that is none.
 */
export async function deleteContainer(sys: Sys, args: ShimArguments): Promise<Uint8Array> {
  checkIdentifier("namespace", args.namespace);
  checkIdentifier("container id", args.id);
  const log = standardErrorLog(sys, args.debug);
  const reaper = new Reaper(sys, log);
  must(
    sys.signalStart([SIGCHLD], () => reaper.childSignal()),
    "watch for the ends of processes",
  );
  const bundle = findBundle(sys, args.bundle);
  const record = bundle === "" ? undefined : readExitRecords(sys, bundle).get(args.id);
  const socket = findSocket(sys, args, bundle);

  const attempt = async (what: string, step: () => void | Promise<void>): Promise<void> => {
    try {
      await step();
    } catch (thrown) {
      log.warn(`${what} failed`, { id: args.id, error: MoorError.from(thrown).message });
    }
  };
  GATE: passGate(sys, "remains.begun");
  await attempt("the runtime's delete", () => deleteByRuntime(sys, reaper, log, args, bundle));
  GATE: passGate(sys, "remains.deleted");
  await attempt("unmount the root file system", () => unmountRootfs(sys, log, bundle));
  GATE: passGate(sys, "remains.unmounted");
  await attempt("remove the socket", () => removeSocket(sys, socket));
  GATE: passGate(sys, "remains.unlinked");
  await attempt("deliver what the shim has not", () => deliverLeft(sys, log, bundle));
  return encodeAnswer(record ?? { pid: readInitPid(sys, bundle), status: unknownStatus, atNs: sys.realtimeNs() });
}

/** The bundle's absolute path; "" when it is gone. The current folder, which may be gone too, is left. */
function findBundle(sys: Sys, named: string): string {
  const current = sys.getcwd();
  must(sys.chdir("/"), "leave the current folder");
  const bundle = named !== "" ? named : isErrno(current) ? "" : current;
  return bundle.startsWith("/") && !isErrno(sys.stat(bundle)) ? bundle.replace(/(.)\/+$/, "$1") : "";
}

async function deleteByRuntime(sys: Sys, reaper: Reaper, log: Log, args: ShimArguments, bundle: string): Promise<void> {
  const { namespace, id, debug } = args;
  const { environ } = sys;
  const options = bundle === "" ? defaultOptions : readOptionsOrDefaults(sys, log, bundle);
  const config = runtimeConfig(options, { namespace, bundle, environ, debug });
  const cgroups = findCgroups(sys, config.root, id, bundle);
  const tryWithin = async (deadlineMs: number): Promise<void> => {
    const deleted = new Runtime(sys, reaper, log, { ...config, deadlineMs }).delete(id, true);
    // A little more than the call's own deadline: after that it waits for a killed runtime, which we do not.
    await withDeadline(sys, deadlineMs + deadlineMs / 10, `${config.binary} delete`, deleted);
  };
  let failed = false;
  try {
    if (runtimeKnows(sys, config.root, id)) await tryWithin(runtimeWithinMs);
  } catch (thrown) {
    failed = true;
    log.warn("the runtime's delete failed and is tried once more", { id, error: MoorError.from(thrown).message });
  }
  if (!(await clearCgroups(sys, log, cgroups, cgroupsWithinMs))) {
    log.warn("processes or cgroups of the container are left", { id, cgroups: cgroups.join(" ") });
  }
  // An init that was killed is gone only when its orphans have been reaped, which takes a loaded machine its time; only
  // then does the runtime let go of what it has written down.
  if (failed) await tryWithin(secondTryWithinMs);
}

/**
 * Whether the runtime has anything of this container. It keeps what it knows in a folder or in files that are named after
 * it, in the folder of its state (so do runc, crun, youki and runsc); without any it would only say that there is none.
 */
function runtimeKnows(sys: Sys, runtimeRoot: string, id: string): boolean {
  const entries = sys.readdir(runtimeRoot);
  return isErrno(entries) ? entries !== ENOENT : entries.some(([name]) => name.includes(id));
}

function readOptionsOrDefaults(sys: Sys, log: Log, bundle: string): RuntimeOptions {
  try {
    return readOptions(sys, bundle);
  } catch (thrown) {
    log.warn("the bundle's runtime options cannot be read", { error: MoorError.from(thrown).message });
    return defaultOptions;
  }
}

/** Only what is mounted on the bundle's own rootfs: a root.path elsewhere was not mounted by a shim. */
async function unmountRootfs(sys: Sys, log: Log, bundle: string): Promise<void> {
  if (bundle === "") return;
  const rootfs = `${bundle}/rootfs`;
  const unmounted = unmountAll(sys, rootfs).then((detached) => {
    for (const point of detached) log.warn("a busy mount was detached", { point });
  });
  if (await settledWithin(sys, unmountWithinMs, unmounted)) return unmounted;
  log.warn("the root file system is busy and is detached", { rootfs });
  // Takes everything below with it. The loop is for mounts stacked on each other.
  for (let round = 0; round < 16 && sys.umount(rootfs, UMOUNT_NOFOLLOW | MNT_DETACH) === 0; round++);
}

/** Where the container's shim listened: as the bundle says, else as `start` would have it. */
function findSocket(sys: Sys, args: ShimArguments, bundle: string): string {
  const written = bundle === "" ? ENOENT : sys.readText(`${bundle}/address`, 4096);
  const path = isErrno(written) ? undefined : pathOfAddress(written.trim());
  if (path !== undefined) return path;
  let group: string | undefined;
  try {
    group = bundle === "" ? undefined : groupOf(readSpec(sys, bundle));
  } catch {
    // A bundle without a readable spec never had a shim of a group.
  }
  return socketPath(sys, defaultSocketFolder, args.address, args.namespace, group ?? args.id);
}

/** Under the folder's lock nobody is between bind and listen: who does not answer now is dead. */
function removeSocket(sys: Sys, path: string): void {
  if (sys.lstat(path) === ENOENT || answers(sys, path)) return;
  const folder = lockSocketFolder(sys, path.slice(0, path.lastIndexOf("/")), lockPatienceMs);
  if (!answers(sys, path)) removeStaleSocket(sys, path);
  folder.unlock();
}

/** Loaded only when there is something to deliver, which is hardly ever. */
async function deliverLeft(sys: Sys, log: Log, bundle: string): Promise<void> {
  const path = `${bundle}/${leftEventsFile}`;
  const address = variable(sys.environ, "TTRPC_ADDRESS");
  if (bundle === "" || address === "" || sys.stat(path) === ENOENT) return;
  const { deliverLeftEvents } = await import("./left-events.ts");
  await deliverLeftEvents(sys, log, path, address);
}

/** The pid that init had; 0 when nobody knows. It is told, and never acted on. */
function readInitPid(sys: Sys, bundle: string): ExitRecord["pid"] {
  const text = bundle === "" ? ENOENT : sys.readText(`${bundle}/init.pid`, 64);
  const pid = isErrno(text) || !/^\d+\s*$/.test(text) ? 0 : Number(text);
  return pid as ExitRecord["pid"];
}

function encodeAnswer({ pid, status, atNs }: ExitRecord): Uint8Array {
  return DeleteResponse.encode({ pid, exitStatus: status, exitedAt: wireTime(atNs) }).finish();
}

/** The daemon takes each line on standard error for a warning: nothing else goes there. */
function standardErrorLog(sys: Sys, debug: boolean): Log {
  const write =
    (level: "debug" | "warning" | "error"): Log["warn"] =>
    (message, fields = {}) => {
      const bytes = sys.encodeUtf8(`${formatLine(sys.realtimeNs(), level, message, fields)}\n`);
      // A standard error that nobody reads is no reason to leave anything undone.
      sys.write(2 as Fd, bytes, 0, bytes.length);
    };
  const silent = (): void => undefined;
  return { debug: debug ? write("debug") : silent, info: silent, warn: write("warning"), error: write("error") };
}
