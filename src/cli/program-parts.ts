// What a part of the command line needs to add its commands to the whole.

import type { Command } from "commander";
import type { Context } from "./context.ts";

export interface ProgramParts {
  readonly program: Command;
  /** Makes a command of this usage and one line of help. */
  command(usage: string, text: string): Command;
  /** Runs what a command does, with the settings, and keeps its exit status. */
  act(run: (context: Context) => Promise<number>): Promise<void>;
}
