// The shim's own log: one logrus text line per event (time="…" level=info msg="…" key=value), as containerd's log
// expects, into the bundle's `log` FIFO, and a bounded ring of the last lines in memory for tools. It never blocks and
// never fails: what the FIFO does not take now is dropped and counted, and the count is said once it takes again.

import { isErrno } from "../sys/errno.ts";
import { O_NONBLOCK, O_RDWR, S_IFIFO, S_IFMT } from "../sys/flags.ts";
import type { Log, LogFields } from "../sys/log.ts";
import type { Fd, Sys } from "../sys/sys.d.ts";
import { rfc3339 } from "./time.ts";

/** How much of the last lines is kept for those who look into the shim, in characters. */
export const ringLength = 8192;
/** Of one line. */
const longestInRing = 2048;

/** In logrus's words, the slightest first. */
export const levels = ["debug", "info", "warning", "error"] as const;
export type Level = (typeof levels)[number];

export class Logger implements Log {
  readonly #sys: Sys;
  readonly #ring: string[] = [];
  #ringHolds = 0;
  #lines = 0;
  /** Hears of each line that goes into the ring. */
  onLine: (() => void) | undefined;
  #fd: Fd | undefined;
  #level: Level;
  #dropped = 0;

  constructor(sys: Sys, options: { fd?: Fd; level: Level }) {
    this.#sys = sys;
    this.#fd = options.fd;
    this.#level = options.level;
  }

  debug(message: string, fields?: LogFields): void {
    if (this.#level === "debug") this.#line("debug", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#line("info", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#line("warning", message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#line("error", message, fields);
  }

  /** The last lines, oldest first, and how many there have been before them. */
  ring(): { readonly lines: readonly string[]; readonly before: number } {
    return { lines: this.#ring, before: this.#lines - this.#ring.length };
  }

  get level(): Level {
    return this.#level;
  }

  /** From which level on lines are written, in a running shim. @returns the level before. */
  setLevel(level: Level): Level {
    const before = this.#level;
    this.#level = level;
    return before;
  }

  #line(level: Level, message: string, fields: LogFields = {}): void {
    const line = formatLine(this.#sys.realtimeNs(), level, message, fields);
    this.#keep(line.length > longestInRing ? line.slice(0, longestInRing) : line);
    if (this.#fd === undefined || levels.indexOf(level) < levels.indexOf(this.#level)) return;
    if (this.#dropped > 0) {
      const note = `${this.#dropped} earlier lines were dropped: the log had no room`;
      if (!this.#write(formatLine(this.#sys.realtimeNs(), "warning", note, {}))) {
        this.#dropped++;
        return;
      }
      this.#dropped = 0;
    }
    if (!this.#write(line)) this.#dropped++;
  }

  #keep(line: string): void {
    this.#ring.push(line);
    this.#ringHolds += line.length;
    this.#lines++;
    while (this.#ringHolds > ringLength) this.#ringHolds -= this.#ring.shift()?.length ?? ringLength;
    this.onLine?.();
  }

  // A FIFO takes a line of up to PIPE_BUF (4096) bytes whole or not at all (pipe(7)); longer ones are cut to that.
  #write(line: string): boolean {
    const bytes = this.#sys.encodeUtf8(`${line}\n`);
    const length = Math.min(bytes.length, 4096);
    if (length < bytes.length) bytes[length - 1] = 10;
    return !isErrno(this.#sys.write(this.#fd as Fd, bytes, 0, length));
  }
}

/**
 * The bundle's log FIFO opened so that nothing can block or break: for reading and writing, so that a daemon that is
 * away is no broken pipe. Undefined when there is none (no daemon, or an old bundle).
 */
export function openLogFifo(sys: Sys, path: string): Fd | undefined {
  const stat = sys.stat(path);
  if (isErrno(stat) || (stat.mode & S_IFMT) !== S_IFIFO) return undefined;
  const fd = sys.open(path, O_RDWR | O_NONBLOCK, 0);
  return isErrno(fd) ? undefined : fd;
}

/** One line in logrus's text form, without the line end: values quoted only where it is needed, fields by name. */
export function formatLine(timeNs: bigint, level: Level, message: string, fields: LogFields): string {
  let line = `time="${rfc3339(timeNs)}" level=${level} msg=${word(message)}`;
  for (const key of Object.keys(fields).sort()) line += ` ${key}=${word(String(fields[key]))}`;
  return line;
}

// logrus leaves a value bare when it has only these characters, or none.
function word(text: string): string {
  return /^[A-Za-z0-9\-._/@^+]*$/.test(text) ? text : quote(text);
}

// As strconv.Quote of Go: what it calls unprintable (all but letters, marks, numbers, punctuation, symbols and the ASCII
// space) is escaped.
function quote(text: string): string {
  // Most need nothing escaped; the tables of letters and marks cost many times as much.
  if (/^[ !#-[\]-~]*$/.test(text)) return `"${text}"`;
  const escaped = text.replace(
    /["\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu,
    (char) => shortEscapes[char] ?? escapeByNumber(char),
  );
  return `"${escaped}"`;
}

const shortEscapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\u0007": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
};

function escapeByNumber(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  if (code < 0x80) return `\\x${hex.padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}
