// The true state of what a crash cut short, once the runtime calls that were under way are ended: whether a container
// has started or is frozen is asked of the kernel; an exec half started is ended, a container half made is
// taken back. Loaded after a crash only.

import { Runtime, runtimeConfig } from "../oci/runtime.ts";
import { readPidFile } from "../oci/pid-file.ts";
import { isErrno } from "../sys/errno.ts";
import { MoorError } from "../sys/error.ts";
import { SIGKILL } from "../sys/flags.ts";
import type { Pid } from "../sys/sys.d.ts";
import type { Container } from "./container.ts";
import type { ShimContext } from "./context.ts";
import { forget, type KeptContainer, undoMounts } from "./create.ts";
import type { Process } from "./process.ts";

/** Never rejects. */
export async function settleContainer(context: ShimContext, container: Container): Promise<void> {
  try {
    for (const exec of container.execs.values()) {
      if (exec.data.state === "starting") await endHalfStarted(context, container, exec);
      exec.happened("deleteFailed");
    }
    const { init } = container;
    if (init.data.state === "starting") await settleStart(context, container);
    const { state } = init.data;
    if (state === "pausing" || state === "resuming") {
      container.freezing.settled(container.cgroup.lookFor()?.isFrozen() === true);
    }
    // Who asks for it again gets it: what is done is not done twice.
    init.happened("deleteFailed");
  } catch (thrown) {
    context.log.error("a container's state after the crash is a guess", {
      id: container.id,
      error: MoorError.from(thrown).message,
    });
  }
}

/** Its client is told that it has not started: it must not run. */
async function endHalfStarted({ sys, reaper, log }: ShimContext, container: Container, exec: Process): Promise<void> {
  try {
    if (exec.owned === undefined) {
      const pid = readPidFile(sys, `${container.setup.bundle}/${exec.data.execId}.pid`);
      // One that is no child of ours any more has ended, and was reaped.
      if (!isErrno(sys.peekPid(pid))) exec.owned = reaper.adopt(pid);
    }
    exec.owned?.signal(SIGKILL);
  } catch (thrown) {
    // Most often: there is no pid file, as the runtime had not come that far.
    log.debug("no process of an exec half started", { process: exec.name, error: MoorError.from(thrown).message });
  }
  exec.owned = undefined;
  exec.stdio?.abort();
  exec.stdio = undefined;
  exec.data.pid = 0 as Pid;
  await container.startSettled(exec);
}

async function settleStart(context: ShimContext, container: Container): Promise<void> {
  const { setup, init, id } = container;
  if (setup.restore !== undefined) {
    init.owned?.signal(SIGKILL);
    init.owned = undefined;
    init.data.pid = 0 as Pid;
    await forget(context, setup.runtime, id);
  }
  await container.startSettled(init);
}

/** Takes back a Create of which nobody will hear that it has succeeded. Never rejects. */
export async function takeBackCreate(context: ShimContext, record: KeptContainer): Promise<void> {
  const { sys, reaper, log, namespace, environ, debug } = context;
  const { id, bundle, mountedRootfs, options } = record;
  try {
    const runtime = new Runtime(sys, reaper, log, runtimeConfig(options, { namespace, bundle, environ, debug }));
    await forget(context, runtime, id);
    if (mountedRootfs !== "") await undoMounts(context, mountedRootfs);
    const entries = sys.readdir(bundle);
    for (const [name] of isErrno(entries) ? [] : entries) {
      if (/^pty-[0-9a-f]+\.sock$/.test(name)) sys.unlink(`${bundle}/${name}`);
    }
  } catch (thrown) {
    log.warn("take back a container half made", { id, error: MoorError.from(thrown).message });
  }
}
