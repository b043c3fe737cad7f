// `moor logs ID`, `moor log-level ID LEVEL`: the shim's own log, of which it keeps the last lines in memory, and how much it
// says. Not the container's output: that is whoever's who has its streams.

import { CliError, exitCodes, textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import { ControlLacking } from "./control-client.ts";
import { requireShim } from "./inspect.ts";
import { type Container, findContainer } from "./inventory.ts";
import { lackOf } from "./lacking.ts";
import type { ShimClient } from "./shim-client.ts";
import { type ShimLogLevel, shimLogLevels } from "./shim-log-levels.ts";

export interface LogsFlags {
  readonly follow: boolean;
  /** Only so many of the last lines. */
  readonly tail: number | undefined;
  /** Only lines of this level and above. */
  readonly level: ShimLogLevel;
}

export async function logsCommand(context: Context, word: string, flags: LogsFlags): Promise<number> {
  return asked(context, word, "read the log of the shim of", async (client) => {
    let isFirst = true;
    for await (const { lines, missed } of client.control.logs(flags.follow)) {
      // At first that is what has left the ring long before anybody asked.
      if (missed > 0 && !isFirst) context.log.warn(`${missed} lines are lost: they came faster than they were read`);
      const wanted = lines.filter((line) => isAtLeast(line, flags.level));
      const shown =
        isFirst && flags.tail !== undefined ? wanted.slice(Math.max(wanted.length - flags.tail, 0)) : wanted;
      isFirst = false;
      if (!(await print(shown))) return exitCodes.ok;
    }
    return exitCodes.ok;
  });
}

export async function logLevelCommand(context: Context, word: string, level: string): Promise<number> {
  return asked(context, word, "set the log level of the shim of", async (client) => {
    const before = await client.control.setLogLevel(level);
    process.stdout.write(`${before} -> ${level}\n`);
    return exitCodes.ok;
  });
}

async function asked(
  context: Context,
  word: string,
  what: string,
  run: (client: ShimClient, container: Container) => Promise<number>,
): Promise<number> {
  const container = findContainer(word, context.settings);
  const client = await requireShim(container, context.settings.timeoutMs);
  try {
    return await run(client, container);
  } catch (thrown) {
    if (thrown instanceof CliError) throw thrown;
    const why = thrown instanceof ControlLacking ? await lackOf(context, client, container.id, thrown) : textOf(thrown);
    throw new CliError(`${what} ${container.id}: ${why}`, "failure", thrown);
  } finally {
    client.close();
  }
}

function isAtLeast(line: string, level: ShimLogLevel): boolean {
  const found = / level=([a-z]+) /.exec(line)?.[1];
  return shimLogLevels.findIndex((each) => each === found) >= shimLogLevels.indexOf(level);
}

/** Resolves when the lines are written; false: nobody reads them any more. */
function print(lines: readonly string[]): Promise<boolean> {
  if (lines.length === 0) return Promise.resolve(true);
  return new Promise((resolve) => {
    process.stdout.write(`${lines.join("\n")}\n`, (fault) => resolve(fault === undefined || fault === null));
  });
}
