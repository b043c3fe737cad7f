#!/usr/bin/env node
// The moor command: runs what the arguments name, and is the one place where a failure becomes a line on standard error
// and an exit status. It ends by process.exit, since a standard input that never ends would hold the process.

import { CliError, errnoOf, statusOfFailure, textOf } from "./cli-error.ts";
import { runProgram } from "./program.ts";

async function main(): Promise<number> {
  let command = "";
  try {
    return await runProgram(process.argv.slice(2), (name) => {
      command = name;
    });
  } catch (thrown) {
    if (!(thrown instanceof CliError) && errnoOf(thrown) !== undefined) {
      // The system's own refusal, with the call and its path: a full disk, a missing right.
      process.stderr.write(`moor: ${textOf(thrown)}\n`);
      return statusOfFailure("failure", command);
    }
    if (!(thrown instanceof CliError)) {
      process.stderr.write(`moor: a bug: ${thrown instanceof Error ? thrown.stack : String(thrown)}\n`);
      return statusOfFailure("failure", command);
    }
    // Wrong usage has been explained already by the parser.
    if (thrown.message !== "") process.stderr.write(`moor: ${thrown.message}\n`);
    return statusOfFailure(thrown.kind, command);
  }
}

/** Resolves when all that was written is with the kernel, or cannot be written: a pipe that is full takes it later. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.writableLength === 0) resolve();
    else stream.write("", () => resolve());
  });
}

// A reader that has left (moor ps | head) is no fault of ours.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
const status = await main();
await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
process.exit(status);
