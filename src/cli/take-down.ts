// The end of a container that runs without a daemon, in the order in which a daemon does it: the task deleted, the shim
// sent home, its `delete` action to clean up, and at last (or not) the state folder.

import type { Context } from "./context.ts";
import { textOf } from "./cli-error.ts";
import type { ExitInfo, ShimClient } from "./shim-client.ts";
import { deleteByShim, type ShimCall } from "./shim-program.ts";
import type { StateFolder } from "./state-folder.ts";

/** How the shim of a state folder is called; the folder's root stands where a daemon's address would. */
export function shimCallFor(context: Context, folder: StateFolder, program: string): ShimCall {
  const { root, timeoutMs, logLevel } = context.settings;
  const { namespace, id, dir } = folder;
  return { program, namespace, id, bundle: dir, address: root, debug: logLevel === "debug", timeoutMs };
}

/** Deletes an ended task and sends its shim home; how it ended. The client is closed. @throws what the shim answers. */
export async function deleteTask(context: Context, client: ShimClient, id: string): Promise<ExitInfo> {
  try {
    const exit = await client.delete(id);
    await client.shutdown(id).catch((thrown: unknown) => {
      // A shim that leaves before it has answered has done as it was told.
      context.log.debug("shut the shim down", { error: textOf(thrown) });
    });
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
