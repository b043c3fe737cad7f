// `moor rm [-f] ID`: takes an ended container down and removes its folder; with -f one that still runs, or whose shim
// is gone or does not answer, too.

import { CliError, exitCodes, textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import { openShim, type Standing, standingOf } from "./inspect.ts";
import { findContainer } from "./inventory.ts";
import { isStill, programOf, startTimeOf } from "./proc.ts";
import type { ShimClient } from "./shim-client.ts";
import { findShim } from "./shim-program.ts";
import { signalNumber } from "./signals.ts";
import { cleanUp, deleteTask, shimCallFor } from "./take-down.ts";

const goneMs = 5_000;

export async function rmCommand(context: Context, word: string, force: boolean): Promise<number> {
  const { settings, log } = context;
  const container = findContainer(word, settings);
  const { id, folder } = container;
  if (folder === undefined) throw new CliError(`${id} is containerd's: remove it with containerd's own client`);
  const standing = await standingOf(container, settings.timeoutMs);
  const over = standing.status === "stopped" || standing.status === "created" || standing.status === "unknown";
  if (!over && !force) throw new CliError(`${id} is ${standing.status}: end it with moor kill, or use rm -f`);

  const record = folder.readRecord();
  const client = await openShim(container, settings.timeoutMs);
  if (client !== undefined) {
    try {
      if (standing.status !== "stopped") await endTask(client, id, settings.timeoutMs);
      await deleteTask(context, client, id);
    } catch (thrown) {
      client.close();
      // A shim without such a task has had its Create fail: there is nothing to delete.
      if (!force && standing.state !== undefined)
        throw new CliError(`remove ${id}: ${textOf(thrown)}`, "failure", thrown);
      log.debug("delete the task", { error: textOf(thrown) });
      await endShim(standing, record?.shimPid, record?.shim);
    }
  }
  await cleanUp(context, shimCallFor(context, folder, record?.shim ?? findShim(settings.shim, context.env)));
  folder.remove();
  return exitCodes.ok;
}

async function endTask(client: ShimClient, id: string, timeoutMs: number): Promise<void> {
  await client.kill(id, signalNumber("SIGKILL"), true).catch(() => {
    // It has ended by itself meanwhile; if not, the wait below says so.
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new CliError(`${id} did not end within ${timeoutMs} ms of SIGKILL`)), timeoutMs);
  });
  try {
    await Promise.race([client.wait(id), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Ends a shim that does not do as it is told, so that `delete` finds the field clear. Only if it is one for sure. */
async function endShim(
  standing: Standing,
  recordedPid: number | undefined,
  program: string | undefined,
): Promise<void> {
  const pid = standing.shimPid ?? recordedPid;
  if (pid === undefined || program === undefined) return;
  const startTime = startTimeOf(pid);
  if (startTime === undefined || programOf(pid).split("/").at(-1) !== program.split("/").at(-1)) return;
  process.kill(pid, "SIGKILL");
  const end = performance.now() + goneMs;
  while (isStill(pid, startTime) && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 10));
}
