// `moor rm [-f] ID`: takes an ended container down and removes its folder; with -f one that still runs, or whose shim
// is gone or does not answer, too.

import { CliError, exitCodes, textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import { openShim, type Standing, standingOf } from "./inspect.ts";
import { findContainer } from "./inventory.ts";
import { startTimeOf } from "./proc.ts";
import type { ShimClient } from "./shim-client.ts";
import { findShim } from "./shim-program.ts";
import { signalNumber } from "./signals.ts";
import type { StateFolder } from "./state-folder.ts";
import { cleanUp, killShim, shimCallFor, takeDown } from "./take-down.ts";

const killedMs = 5_000;

export async function rmCommand(context: Context, word: string, force: boolean): Promise<number> {
  const { settings } = context;
  const container = findContainer(word, settings);
  const { id, folder } = container;
  if (folder === undefined) throw new CliError(`${id} is containerd's: remove it with containerd's own client`);
  const standing = await standingOf(container, settings.timeoutMs);
  const client = await openShim(container, settings.timeoutMs);
  try {
    if (!force) refuseUnlessOver(id, standing, client !== undefined);
    const program = folder.readRecord()?.shim ?? findShim(settings.shim, context.env);
    if (client !== undefined && standing.state !== undefined) {
      if (standing.status !== "stopped") await endTask(client, id, settings.timeoutMs);
      await takeDown(context, client, folder, program);
      return exitCodes.ok;
    }
    if (client !== undefined) await sendHome(context, client, folder, program);
    await cleanUp(context, shimCallFor(context, folder, program));
    folder.remove();
    return exitCodes.ok;
  } catch (thrown) {
    throw thrown instanceof CliError ? thrown : new CliError(`remove ${id}: ${textOf(thrown)}`, "failure", thrown);
  } finally {
    client?.close();
  }
}

/** @throws CliError for a container that runs, or may. */
function refuseUnlessOver(id: string, { status, state }: Standing, hasShim: boolean): void {
  if (status === "stopped" || status === "created") return;
  if (hasShim && state === undefined) {
    throw new CliError(`the shim of ${id} does not answer, so that it may still run: rm -f removes it all the same`);
  }
  if (status !== "unknown") throw new CliError(`${id} is ${status}: end it with moor kill, or use rm -f`);
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

/**
 * Rids us of a shim that does not know the container, or does not answer. The first kind leaves when asked, unless it
 * has others; the second is killed.
 */
async function sendHome(context: Context, client: ShimClient, folder: StateFolder, program: string): Promise<void> {
  try {
    await client.shutdown(folder.id);
  } catch (thrown) {
    context.log.debug("shut the shim down", { error: textOf(thrown) });
    const pid = folder.readRecord()?.shimPid;
    if (pid === undefined) return;
    killShim(pid, program);
    const end = performance.now() + killedMs;
    while (startTimeOf(pid) !== undefined && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
