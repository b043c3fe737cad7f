// `moor kill ID [SIGNAL]`: a signal to the container's init, or to everything in it. By the control service, where the shim has it: its log
// then names who asked.

import { CliError, exitCodes, textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import { ControlLacking } from "./control-client.ts";
import { requireShim } from "./inspect.ts";
import { findContainer } from "./inventory.ts";

export async function killCommand(context: Context, word: string, signal: number, all: boolean): Promise<number> {
  const { settings } = context;
  const container = findContainer(word, settings);
  const client = await requireShim(container, settings.timeoutMs);
  try {
    await client.control.kill(container.id, signal, all).catch((thrown: unknown) => {
      if (thrown instanceof ControlLacking) return client.kill(container.id, signal, all);
      throw thrown;
    });
  } catch (thrown) {
    throw new CliError(`kill ${container.id}: ${textOf(thrown)}`, "failure", thrown);
  } finally {
    client.close();
  }
  return exitCodes.ok;
}
