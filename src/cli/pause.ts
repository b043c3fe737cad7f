// `moor pause ID` and `moor resume ID`: the container's processes held, and let go on, by its shim.

import { CliError, exitCodes, textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import { requireShim } from "./inspect.ts";
import { findContainer } from "./inventory.ts";

/** @throws CliError with what the shim answers, for a container that is not running or not paused. */
export async function pauseCommand(context: Context, word: string, verb: "pause" | "resume"): Promise<number> {
  const { settings } = context;
  const container = findContainer(word, settings);
  const client = await requireShim(container, settings.timeoutMs);
  try {
    await (verb === "pause" ? client.pause(container.id) : client.resume(container.id));
  } catch (thrown) {
    throw new CliError(`${verb} ${container.id}: ${textOf(thrown)}`, "failure", thrown);
  } finally {
    client.close();
  }
  return exitCodes.ok;
}
