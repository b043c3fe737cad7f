// Signals as people write them: TERM, SIGTERM, sigterm, 15, RTMIN+3.

import { constants } from "node:os";
import { CliError } from "./cli-error.ts";

const realTimeFirst = 34;
const last = 64;

/** The number of a signal, 0 to 64 as the kernel takes them. @throws CliError usage. */
export function parseSignal(word: string): number {
  if (/^\d+$/.test(word)) {
    const number = Number(word);
    if (number <= last) return number;
    throw new CliError(`there is no signal ${word}: they go from 0 to ${last}`, "usage");
  }
  const name = word.toUpperCase().replace(/^SIG/, "");
  const number = (constants.signals as Record<string, number>)[`SIG${name}`] ?? realTime(name);
  if (number !== undefined) return number;
  throw new CliError(`there is no signal ${JSON.stringify(word)}`, "usage");
}

// glibc keeps 32 and 33 for itself, so that what users call RTMIN is 34.
function realTime(name: string): number | undefined {
  const match = /^RTM(IN|AX)(?:([+-])(\d+))?$/.exec(name);
  if (match === null) return undefined;
  const offset = Number(match[3] ?? "0") * (match[2] === "-" ? -1 : 1);
  const number = (match[1] === "IN" ? realTimeFirst : last) + offset;
  return number >= realTimeFirst && number <= last ? number : undefined;
}

/** The number of one of Node's signal names. */
export function signalNumber(name: NodeJS.Signals): number {
  return constants.signals[name];
}

/** "SIGKILL"; "signal 40" for one without a name. */
export function signalName(number: number): string {
  return Object.entries(constants.signals).find(([, each]) => each === number)?.[0] ?? `signal ${number}`;
}
