// Reading the small files of cgroupfs: one number, lines of "name value", lines of fields. A file that is missing (a
// controller that is off, a cgroup that is just going) reads as nothing; numbers are 64 bits wide, never less.

import { isErrno } from "../sys/errno.ts";
import type { Sys } from "../sys/sys.d.ts";

/** What "max" (no limit) is in the messages of the unified hierarchy. */
export const unlimited = 0xffff_ffff_ffff_ffffn;

const maxValueBytes = 1 << 20;

/** The file's text, or undefined when it cannot be read. */
export function tryReadText(sys: Sys, path: string): string | undefined {
  const text = sys.readText(path, maxValueBytes);
  return isErrno(text) ? undefined : text;
}

/** More digits than a number of 64 bits has: also how long a text is ever made a number of (that takes its square). */
const mostDigits = 20;

/** A number as containerd reads it: negative is 0, "max" is `max`, what is beyond 64 bits is all of them, anything else is 0. */
export function parseCount(text: string, max = unlimited): bigint {
  const word = text.trim();
  if (word === "max") return max;
  if (!/^\d+$/.test(word)) return 0n;
  const value = word.length <= mostDigits ? BigInt(word) : unlimited;
  return value < unlimited ? value : unlimited;
}

/** The one number in a file; 0 when there is none. */
export function readCount(sys: Sys, path: string, max = unlimited): bigint {
  return parseCount(tryReadText(sys, path) ?? "", max);
}

/** Lines of "name value" as a function of the name that gives 0 for what is missing; undefined without the file. */
export function tryReadCounts(sys: Sys, path: string): ((name: string) => bigint) | undefined {
  const text = tryReadText(sys, path);
  if (text === undefined) return undefined;
  // Looked up in the text itself: a list of words costs more in this engine than some of them are worth.
  const lines = `\n${text}`;
  return (name) => {
    const start = lines.indexOf(`\n${name} `);
    if (start < 0) return 0n;
    const from = start + name.length + 2;
    const end = lines.indexOf("\n", from);
    return parseCount(lines.slice(from, end < 0 ? lines.length : end));
  };
}

/** The words of each line that has any. */
export function fieldsOfLines(text: string): string[][] {
  return text
    .split("\n")
    .map((line) => line.match(/\S+/g) ?? [])
    .filter((words) => words.length > 0);
}
