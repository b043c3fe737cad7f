// The person's terminal while a container's terminal is shown on it: every key passes, nothing is translated. Whatever
// way the command ends, signal-exit puts the terminal back as it was.

import { spawnSync } from "node:child_process";
import { onExit } from "signal-exit";
import { CliError } from "./cli-error.ts";

export interface WindowSize {
  readonly columns: number;
  readonly rows: number;
}

/**
 * Puts the terminal on standard input in raw mode and returns what undoes it (any number of times). stty does it:
 * Node's own raw mode goes on turning line feeds into CR LF, which breaks full-screen programs.
 * @throws CliError when standard input is no terminal that can be set.
 */
export function makeRaw(): () => void {
  const saved = stty(["-g"]);
  const restore = (): void => {
    if (!active) return;
    active = false;
    process.removeListener("SIGCONT", setRaw);
    forget();
    try {
      stty([saved.trim()]);
    } catch {
      // The terminal has hung up: there is nobody left to restore it for, and this may be the way out of a signal.
    }
  };
  // A shell that stopped and continued us has set the terminal to its own liking meanwhile.
  const setRaw = (): void => void stty(["raw", "-echo"]);
  let active = true;
  const forget = onExit(restore, { alwaysLast: true });
  setRaw();
  process.on("SIGCONT", setRaw);
  return restore;
}

function stty(args: readonly string[]): string {
  const result = spawnSync("stty", args, { stdio: ["inherit", "pipe", "pipe"], encoding: "utf8" });
  if (result.status === 0) return result.stdout;
  const why = result.error?.message ?? result.stderr.trim();
  throw new CliError(`set the terminal: ${why}`);
}

/** The size of the terminal we write to, or of the one we read from; undefined when neither is one. */
export function windowSize(): WindowSize | undefined {
  const { columns, rows } = process.stdout;
  if (process.stdout.isTTY && columns > 0 && rows > 0) return { columns, rows };
  if (!process.stdin.isTTY) return undefined;
  const [rowsRead, columnsRead] = stty(["size"]).trim().split(" ").map(Number);
  return columnsRead && rowsRead ? { columns: columnsRead, rows: rowsRead } : undefined;
}
