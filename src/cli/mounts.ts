// What is mounted, as this process sees it: for what must not remove, or leave, a folder in which something is mounted.

import { textOfFile } from "./proc-figures.ts";

/** The places in `dir` at which something is mounted, the last one first: it may lie on another. */
export function mountsIn(dir: string): string[] {
  return (textOfFile("/proc/self/mountinfo") ?? "")
    .split("\n")
    .map((line) => unescapePath(line.split(" ")[4] ?? ""))
    .filter((point) => point.startsWith(`${dir}/`))
    .reverse();
}

/** Space, tab, newline and backslash stand as octal numbers there (proc(5)). */
function unescapePath(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_all, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
