// `moor inspect ID...`: everything known of containers, as a JSON array; and `moor why ID`, the same in a paragraph.

import { CliError, exitCodes, textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import { inspectContainer } from "./inspection.ts";
import { findContainer } from "./inventory.ts";
import { explain } from "./explain.ts";

/** Those that are not there are named on standard error, after the others were printed. */
export async function inspectCommand(context: Context, words: readonly string[]): Promise<number> {
  const found = [];
  const missing: string[] = [];
  for (const word of words) {
    try {
      found.push(await inspectContainer(context, findContainer(word, context.settings)));
    } catch (thrown) {
      if (!(thrown instanceof CliError)) throw thrown;
      missing.push(textOf(thrown));
    }
  }
  process.stdout.write(`${JSON.stringify(found, undefined, 2)}\n`);
  if (missing.length > 0) throw new CliError(missing.join("; "));
  return exitCodes.ok;
}

export async function whyCommand(context: Context, word: string): Promise<number> {
  const inspection = await inspectContainer(context, findContainer(word, context.settings));
  process.stdout.write(`${explain(inspection, Date.now())}\n`);
  return exitCodes.ok;
}
