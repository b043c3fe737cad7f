// Create: from the daemon's request to a container that waits for Start. Its steps (checks, options, mounts, stdio, the
// runtime's create) are undone in the other order when one of them fails, so that the same request may be made again.

import type { CreateTaskRequest } from "../api/task.ts";
import { openStdio, type Stdio } from "../io/stdio.ts";
import { mountAll } from "../mount/mount.ts";
import { unmountAll } from "../mount/unmount.ts";
import { readSpec, rootfsOf, type Spec, type SpecNamespace } from "../oci/bundle.ts";
import type { CallGate } from "../oci/call-gate.ts";
import { decodeOptions, type RuntimeOptions } from "../oci/options.ts";
import { writeOptions } from "../oci/options-file.ts";
import { Runtime, runtimeConfig } from "../oci/runtime.ts";
import { hasRefused } from "../oci/runtime-error.ts";
import type { Announcement, Exit, OwnedProcess } from "../reaper/reaper.ts";
import { MoorError } from "../sys/error.ts";
import { S_IFDIR, S_IFMT, SIGKILL } from "../sys/flags.ts";
import { errnoName, isErrno } from "../sys/errno.ts";
import { passGate } from "../sys/gates.ts";
import { quoted } from "../sys/quoted.ts";
import type { Fd, FileStat, Pid, Sys } from "../sys/sys.d.ts";
import { Container, type ContainerSetup } from "./container.ts";
import type { ShimContext } from "./context.ts";
import { writeAtomically } from "./exit-records.ts";
import { Process } from "./process.ts";

/** Where runc keeps what it writes about init. */
const initPidFile = "init.pid";
/** fds that a process gets beside its stdio start here. */
const firstExtraFd = 3;
/** How long what is in the cgroups of a container half made may take to end. */
const cgroupsWithinMs = 5_000;

/**
 * Makes the container; the id and the bundle have been checked.
 * @param listenFds sockets for this container; they stay the caller's.
 * @param gate of the whole shim.
 * @throws MoorError; nothing is left behind then.
 */
export async function createContainer(
  context: ShimContext,
  request: CreateTaskRequest,
  listenFds: readonly Fd[],
  gate: CallGate,
): Promise<Container> {
  const { sys, log, reaper, namespace, environ, debug } = context;
  const { id, bundle, rootfs, stdin, stdout, stderr, terminal } = request;
  const spec = readSpec(sys, bundle);
  const options = await decodeOptions(sys, request.options);
  const runtime = new Runtime(sys, reaper, log, runtimeConfig(options, { namespace, bundle, environ, debug }));
  const mountedRootfs = rootfs.length === 0 ? "" : `${bundle}/rootfs`;
  const init = new Process({ kind: "init", containerId: id, execId: "", stdin, stdout, stderr, terminal });

  // From here on there is something to take back.
  const part = context.keeper.part(() => keptContainer({ id, bundle, mountedRootfs, spec, options, request }));
  context.keeper.flush();
  let stdio: Stdio | undefined;
  let isMounted = false;
  try {
    writeOptions(sys, bundle, options);
    writeAtomically(sys, `${bundle}/address`, context.address, 0o644);
    GATE: passGate(sys, "create.noted");
    await mountAll(sys, rootfs, mountedRootfs === "" ? rootfsOf(spec, bundle) : mountedRootfs, reaper);
    isMounted = true;
    GATE: passGate(sys, "create.mounted");
    const { ioUid, ioGid } = options;
    stdio = await openStdio(
      { sys, reaper, log, changed: () => init.part.touch() },
      { containerId: id, execId: "", namespace, bundle, stdin, stdout, stderr, terminal, ioUid, ioGid, environ },
    );
    init.stdio = stdio;
    GATE: passGate(sys, "create.opened");
    const restore = restoreOf(context, gate, { request, options, runtime, init });
    const container = new Container(context, {
      id,
      bundle,
      mountedRootfs,
      spec,
      options,
      runtime,
      init,
      restore,
      gate,
      part,
    });
    if (restore === undefined) {
      const whenEnded = (exit: Exit): void => container.exited(container.init, exit);
      await gate.run(() => createInit(context, { request, options, runtime, init }, listenFds, whenEnded));
      container.adopt();
    }
    container.created(rootfs, request.checkpoint);
    GATE: passGate(sys, "create.told");
    return container;
  } catch (thrown) {
    stdio?.abort();
    if (mountedRootfs !== "" && isMounted) await undoMounts(context, mountedRootfs);
    part.remove();
    throw thrown;
  }
}

/** What stays as it is as long as the container is there; the record alone, without one of its init, is a Create under way. */
export interface KeptContainer {
  readonly id: string;
  readonly bundle: string;
  readonly mountedRootfs: string;
  /** linux.namespaces of the spec. */
  readonly namespaces: readonly SpecNamespace[];
  readonly options: RuntimeOptions;
  readonly checkpoint: string;
  readonly parentCheckpoint: string;
}

/** The record of a container. */
export function keptContainer(given: {
  readonly id: string;
  readonly bundle: string;
  readonly mountedRootfs: string;
  readonly spec: Spec;
  readonly options: RuntimeOptions;
  readonly request: Pick<CreateTaskRequest, "checkpoint" | "parentCheckpoint">;
}): { readonly kind: "container" } & KeptContainer {
  const { id, bundle, mountedRootfs, spec, options, request } = given;
  const { checkpoint, parentCheckpoint } = request;
  const namespaces = spec.linux?.namespaces ?? [];
  return { kind: "container", id, bundle, mountedRootfs, namespaces, options, checkpoint, parentCheckpoint };
}

/** Of the request, what is needed to make init. */
export interface InitParts {
  readonly request: Pick<CreateTaskRequest, "id" | "bundle" | "checkpoint" | "parentCheckpoint">;
  readonly options: RuntimeOptions;
  readonly runtime: Runtime;
  readonly init: Process;
}

/** What the start of this container does in the place of the runtime's start; undefined where nothing is restored. */
export function restoreOf(context: ShimContext, gate: CallGate, parts: InitParts): ContainerSetup["restore"] {
  if (parts.request.checkpoint === "") return undefined;
  return (onExit) => gate.run(() => restoreInit(context, parts, onExit));
}

function createInit(
  context: ShimContext,
  parts: InitParts,
  listenFds: readonly Fd[],
  onExit: (exit: Exit) => void,
): Promise<void> {
  const { request, options, runtime } = parts;
  const { id, bundle } = request;
  const sockets = listenFds.map((source, i) => ({ target: firstExtraFd + i, source }));
  return makeInit(context, parts, onExit, ({ childFds, consoleSocket }, announcement, whenEnded) => {
    const wanted = {
      pidFile: `${bundle}/${initPidFile}`,
      consoleSocket,
      noPivot: options.noPivotRoot,
      noNewKeyring: options.noNewKeyring,
      fds: [...childFds, ...sockets],
      listenFds: sockets.length,
    };
    return runtime.create(id, bundle, wanted, announcement, whenEnded);
  });
}

/** Start of a container that was created from a checkpoint. */
function restoreInit(context: ShimContext, parts: InitParts, onExit: (exit: Exit) => void): Promise<void> {
  const { request, options, runtime } = parts;
  const { id, bundle, checkpoint, parentCheckpoint } = request;
  return makeInit(context, parts, onExit, ({ childFds, consoleSocket }, announcement, whenEnded) => {
    const wanted = {
      pidFile: `${bundle}/${initPidFile}`,
      consoleSocket,
      noPivot: options.noPivotRoot,
      fds: childFds,
      imagePath: checkpoint,
      workPath: options.criuWorkPath,
      parentPath: parentCheckpoint,
      openTcp: false,
    };
    return runtime.restore(id, bundle, wanted, announcement, whenEnded);
  });
}

/** Has the runtime make init, and connects its streams. What fails leaves no process, and of an exit of it nobody is told. */
async function makeInit(
  context: ShimContext,
  { request, runtime, init }: InitParts,
  onExit: (exit: Exit) => void,
  make: (stdio: Stdio, announcement: Announcement, whenEnded: (exit: Exit) => void) => Promise<OwnedProcess>,
): Promise<void> {
  const stdio = init.stdio as Stdio;
  const announcement = context.reaper.announce();
  let reported = true;
  try {
    init.owned = await make(stdio, announcement, (exit) => {
      if (reported) onExit(exit);
    });
    init.data.pid = init.owned.pid;
    GATE: passGate(context.sys, "create.claimed");
    await stdio.attach();
    GATE: passGate(context.sys, "create.attached");
  } catch (thrown) {
    reported = false;
    init.owned?.signal(SIGKILL);
    init.owned = undefined;
    init.data.pid = 0 as Pid;
    // What the runtime refused it has taken back itself (or it is another's, of the same id). All else is half made.
    if (!hasRefused(thrown)) await forget(context, runtime, request.id);
    throw thrown;
  } finally {
    announcement.end();
  }
}

/** Takes back what a runtime call left half made, also what the runtime has not written down yet. */
export async function forget({ sys, log }: ShimContext, runtime: Runtime, id: string): Promise<void> {
  // Loaded when it is needed, which is hardly ever.
  const { clearCgroups, findCgroups } = await import("./remains.ts");
  const { root, bundle } = runtime.config;
  let cgroups: ReturnType<typeof findCgroups> = [];
  try {
    cgroups = findCgroups(sys, root, id, bundle);
  } catch (thrown) {
    // Without fds, as it may be just then. The runtime does most of it, and it is the first failure that is told.
    log.warn("find the cgroups of a container half made", { id, error: MoorError.from(thrown).message });
  }
  try {
    await runtime.delete(id, true);
  } catch (thrown) {
    log.warn("take back a container half made", { id, error: MoorError.from(thrown).message });
  }
  if (await clearCgroups(sys, log, cgroups, cgroupsWithinMs)) return;
  log.warn("processes or cgroups of a container half made are left", { id, cgroups: cgroups.join(" ") });
}

export async function undoMounts({ sys, log }: ShimContext, rootfs: string): Promise<void> {
  try {
    await unmountAll(sys, rootfs);
  } catch (thrown) {
    // The first failure is the one that is told.
    log.warn("undo the mounts of a failed create", { rootfs, error: MoorError.from(thrown).message });
  }
}

/**
 * @returns what tells this folder from every other one.
 * @throws MoorError invalid_argument when it is none.
 */
export function checkBundle(sys: Sys, id: string, bundle: string): string {
  const what = `create container ${id}: the bundle ${quoted(bundle)}`;
  if (!bundle.startsWith("/")) throw new MoorError("invalid_argument", `${what} is no absolute path`);
  const stat = sys.stat(bundle);
  if (isErrno(stat)) throw new MoorError("invalid_argument", `${what}: ${errnoName(stat)}`, { errno: stat });
  if ((stat.mode & S_IFMT) !== S_IFDIR) throw new MoorError("invalid_argument", `${what} is no folder`);
  return folderKey(stat);
}

/** The same for a folder that has been checked before; "" when it is gone. */
export function bundleKey(sys: Sys, bundle: string): string {
  const stat = sys.stat(bundle);
  return isErrno(stat) ? "" : folderKey(stat);
}

function folderKey({ dev, ino }: FileStat): string {
  return `${dev}:${ino}`;
}
