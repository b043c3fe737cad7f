// `moor wait ID`: the container's exit status, printed and returned; also when it had ended before, and when its shim is
// gone but has left its record.

import { CliError, textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import { openShim, recordedExit, standingOf } from "./inspect.ts";
import { findContainer } from "./inventory.ts";
import { takeDownIfAsked } from "./take-down.ts";

export async function waitCommand(context: Context, word: string): Promise<number> {
  const { settings } = context;
  const container = findContainer(word, settings);
  const client = await openShim(container, settings.timeoutMs);
  if (client !== undefined) {
    try {
      const exit = await client.wait(container.id);
      if (container.folder !== undefined) await takeDownIfAsked(context, client, container.folder);
      return print(exit.exitStatus);
    } catch (thrown) {
      // The shim died, or has deleted the container: the record knows, or nobody.
      context.log.debug("wait at the shim", { error: textOf(thrown) });
    } finally {
      client.close();
    }
  }
  const exit = recordedExit(container);
  if (exit !== undefined) return print(exit.status);
  const { status } = await standingOf(container, settings.timeoutMs);
  const why = status === "orphaned" ? "it still runs, and nobody will see its end" : "nobody saw its end";
  throw new CliError(`the shim of ${container.id} is gone: ${why}`);
}

function print(status: number): number {
  process.stdout.write(`${status}\n`);
  return status;
}
