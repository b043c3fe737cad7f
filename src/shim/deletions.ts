// What Delete does once the state table has allowed it: ends what is not started, takes away what the container or one of
// its execs has left, and lets its streams go. What fails leaves the rest as it is, so that Delete may be asked for again.

import { unmountAll } from "../mount/unmount.ts";
import { withDeadline } from "../reaper/deadline.ts";
import { MoorError } from "../sys/error.ts";
import { SIGKILL } from "../sys/flags.ts";
import { passGate } from "../sys/gates.ts";
import type { ContainerSetup } from "./container.ts";
import type { ShimContext } from "./context.ts";
import type { Exec } from "./execs.ts";
import type { ExitRecords } from "./exit-records.ts";
import type { Process } from "./process.ts";

/** A process that has been sent SIGKILL ends within this time unless the kernel holds it. */
const killedWithinMs = 30_000;

/** Ends a created process; resolves when its exit has been told. @throws MoorError. */
export async function killForDelete({ sys }: ShimContext, process: Process): Promise<void> {
  if (process.owned === undefined) {
    // Made from a checkpoint and never started: there is nothing to end, and nothing to tell.
    process.data.exitStatus = 0;
    process.happened("exited");
    process.announce();
    return;
  }
  process.owned.signal(SIGKILL);
  await withDeadline(sys, killedWithinMs, `end ${process.name} to delete it`, process.wait());
}

/** Takes an exec out of those of its container, and away what it has left in the bundle. */
export function deleteExec(
  { sys, log }: ShimContext,
  { bundle }: ContainerSetup,
  execs: Map<string, Exec>,
  records: ExitRecords,
  exec: Exec,
): void {
  const { execId } = exec.data;
  exec.stdio?.release();
  // Never started, or not to be: who waits for its exit would wait for ever.
  if (exec.owned === undefined) exec.failStart();
  execs.delete(execId);
  exec.part.remove();
  // Leftovers go with the bundle.
  sys.unlink(`${bundle}/${execId}.pid`);
  try {
    records.remove(execId);
  } catch (thrown) {
    log.warn("the record of a deleted exec stays", { exec: execId, error: MoorError.from(thrown).message });
  }
}

/** Has the runtime forget the container, and unmounts its root file system. @throws MoorError. */
export async function deleteInit(
  { sys, log }: ShimContext,
  { id, init, runtime, mountedRootfs }: ContainerSetup,
  execs: ReadonlyMap<string, Exec>,
): Promise<void> {
  for (const exec of execs.values()) exec.stdio?.release();
  await runtime.delete(id, false);
  for (const exec of execs.values()) if (exec.owned === undefined) exec.failStart();
  if (mountedRootfs !== "") {
    const detached = await unmountAll(sys, mountedRootfs);
    if (detached.length > 0) log.warn("mounts were busy and are detached", { id, mounts: detached.join(" ") });
  }
  GATE: passGate(sys, "delete.unmounted");
  init.stdio?.release();
}
