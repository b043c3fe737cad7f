// The log file that a runtime writes with `--log FILE --log-format json`: JSON objects with level and msg, one a line
// (runc, crun 1.8) or spread over several (crun 1.28). The last error in it is the real cause of a failed
// call, also of calls whose standard error belongs to the container. Runtimes that write plain text, logrus's or their
// own, are read as well as that goes.

import { isErrno } from "../sys/errno.ts";
import { O_RDONLY } from "../sys/flags.ts";
import type { Sys } from "../sys/sys.d.ts";

/** Bytes from the end of the log that are looked at: with --debug a log may be long, and the cause stands last. */
const tailBytes = 64 * 1024;
/** Characters of a cause that go into an error. */
const maxCauseLength = 8 * 1024;

/** The last error in the log file, or undefined when there is none or the file cannot be read. */
export function readLastError(sys: Sys, path: string): string | undefined {
  const tail = readTail(sys, path);
  return tail === undefined ? undefined : lastError(tail);
}

/** The last error in the text of a log. */
export function lastError(text: string): string | undefined {
  let cause: string | undefined;
  for (const entry of entriesOf(text)) {
    const error = errorOf(entry);
    if (error !== undefined && (cause === undefined || !sayNothing.has(error))) cause = error;
  }
  return cause === undefined ? undefined : bounded(cause);
}

/** crun's second line on a failed exec, written by the other of its two processes: before the cause or after it. */
const sayNothing: ReadonlySet<string> = new Set(["fail startup"]);

/** The lines of a log; an object that is spread over several of them is one. */
function entriesOf(text: string): string[] {
  const entries: string[] = [];
  let spread: string[] | undefined;
  for (const line of text.split("\n")) {
    // The line that ends one holds the brace alone. Whatever begins with a brace is the next, also after one that was cut.
    if (line.startsWith("{") && line.trimEnd().length === 1) spread = [line];
    else if (spread === undefined || line.startsWith("{")) {
      spread = undefined;
      entries.push(line);
    } else {
      spread.push(line);
      if (!line.startsWith("}")) continue;
      entries.push(spread.join("\n"));
      spread = undefined;
    }
  }
  return entries;
}

/**
 * What a runtime wrote to its standard error, as the cause of a failure: its last error line, else all of it; of a long
 * text the beginning and the end, where the cause mostly stands.
 */
export function causeFromStderr(text: string): string | undefined {
  const plain = text.trim();
  if (plain === "") return undefined;
  const error = lastError(plain);
  if (error !== undefined || plain.length <= maxCauseLength) return error ?? plain;
  return `${plain.slice(0, maxCauseLength / 2)} … ${plain.slice(-maxCauseLength / 2)}`;
}

function errorOf(line: string): string | undefined {
  const text = line.trim();
  if (text.startsWith("{")) {
    const entry = parseEntry(text);
    return entry?.level === "error" || entry?.level === "fatal" ? entry.msg.trim() : undefined;
  }
  // logrus's text form: time="…" level=error msg="…"
  const match = /\blevel="?(?:error|fatal)"? msg=("(?:[^"\\]|\\.)*"|\S+)/.exec(text);
  const message = match?.[1];
  if (message === undefined) return undefined;
  return message.startsWith('"') ? unquote(message) : message;
}

function parseEntry(text: string): { level: string; msg: string } | undefined {
  try {
    const { level, msg } = JSON.parse(text) as Record<string, unknown>;
    return typeof level === "string" && typeof msg === "string" ? { level, msg } : undefined;
  } catch {
    // A line cut in two, or text that only looks like JSON: not an entry.
    return undefined;
  }
}

function unquote(quoted: string): string {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    // Go's quoting knows escapes that JSON does not (\x00): the raw text says enough.
    return quoted.slice(1, -1);
  }
}

function bounded(text: string): string {
  return text.length <= maxCauseLength ? text : `${text.slice(0, maxCauseLength)}… (cut)`;
}

function readTail(sys: Sys, path: string): string | undefined {
  const fd = sys.open(path, O_RDONLY, 0);
  if (isErrno(fd)) return undefined;
  try {
    const stat = sys.fstat(fd);
    if (isErrno(stat)) return undefined;
    const length = Math.min(stat.size, tailBytes);
    if (isErrno(sys.seek(fd, stat.size - length))) return undefined;
    const buffer = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const count = sys.read(fd, buffer, filled, length - filled);
      if (isErrno(count) || count === 0) break;
      filled += count;
    }
    return sys.decodeUtf8(buffer.subarray(0, filled));
  } finally {
    sys.close(fd);
  }
}
