// The end of a container that runs without a daemon, in the order in which a daemon does it: the task deleted, the shim
// sent home, its `delete` action to clean up, and last of all the state folder.

import { textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import { programOf, startTimeOf } from "./proc.ts";
import type { ExitInfo, ShimClient } from "./shim-client.ts";
import { deleteByShim, type ShimCall } from "./shim-program.ts";
import type { StateFolder } from "./state-folder.ts";

/** How long the end of a shim is waited for that may have reasons to stay. */
const leaveMs = 500;

/** How the shim of a state folder is called; the folder's root stands where a daemon's address would. */
export function shimCallFor(context: Context, folder: StateFolder, program: string): ShimCall {
  const { root, timeoutMs, logLevel } = context.settings;
  const { namespace, id, dir } = folder;
  return { program, namespace, id, bundle: dir, address: root, debug: logLevel === "debug", timeoutMs };
}

/** Takes down a container that has ended, and everything of it. The client is closed. @throws what the shim answers. */
export async function takeDown(
  context: Context,
  client: ShimClient,
  folder: StateFolder,
  program: string,
): Promise<ExitInfo> {
  const exit = await deleteTask(context, client, folder.id);
  await cleanUp(context, shimCallFor(context, folder, program));
  folder.remove();
  return exit;
}

/**
 * Takes down a container that was started with --rm, for a command that has seen its end. The client is closed. What
 * fails is logged only: another command may be doing the same.
 */
export async function takeDownIfAsked(context: Context, client: ShimClient, folder: StateFolder): Promise<void> {
  const record = folder.readRecord();
  if (record?.rm !== true) return;
  try {
    await takeDown(context, client, folder, record.shim);
  } catch (thrown) {
    context.log.info(`remove ${folder.id}`, { error: textOf(thrown) });
  }
}

/** Deletes an ended task and sends its shim home; how it ended. The client is closed. @throws what the shim answers. */
async function deleteTask(context: Context, client: ShimClient, id: string): Promise<ExitInfo> {
  try {
    const exit = await client.delete(id);
    const left = client.closed;
    await client.shutdown(id).catch((thrown: unknown) => {
      // A shim that leaves before it has answered has done as it was told.
      context.log.debug("shut the shim down", { error: textOf(thrown) });
    });
    // One that has other containers of a group stays.
    await Promise.race([left, new Promise((resolve) => setTimeout(resolve, leaveMs).unref())]);
    return exit;
  } finally {
    client.close();
  }
}

/** Has the shim's binary remove what is left outside the folder. What fails is a warning: the folder goes anyway. */
export async function cleanUp(context: Context, call: ShimCall): Promise<void> {
  try {
    await deleteByShim(call);
  } catch (thrown) {
    context.log.warn(`clean up after ${call.id}: ${textOf(thrown)}`);
  }
}

/** Ends a shim that does not do as it is told, so that `delete` finds the field clear. Only if it is one for sure. */
export function killShim(pid: number, program: string): void {
  if (startTimeOf(pid) === undefined || baseName(programOf(pid)) !== baseName(program)) return;
  process.kill(pid, "SIGKILL");
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
