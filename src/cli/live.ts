// Figures that change, on a terminal drawn again in place, elsewhere one line for each: read twice for what is a speed,
// then once an interval, until the person or the pipe has enough or nothing is left to look at.

import { exitCodes } from "./cli-error.ts";
import type { Format } from "./output.ts";
import { type Column, tableLines } from "./table.ts";

export interface LiveFlags {
  /** Undefined: on a terminal, for people. */
  readonly stream: boolean | undefined;
  readonly intervalMs: number;
  readonly format: Format;
}

/** Reads the figures; undefined: there is nothing to look at any more. */
export type Reading<Row> = () => Promise<readonly Row[] | undefined>;

const clearAndHome = "\u001b[H\u001b[2J\u001b[3J";
const hideCursor = "\u001b[?25l";
const showCursor = "\u001b[?25h";

/** Shows what is read until there is an end. The first reading is for comparison, and not shown. */
export async function showLive<Row>(flags: LiveFlags, read: Reading<Row>, columns: Column<Row>[]): Promise<number> {
  const { format, intervalMs } = flags;
  const inPlace = process.stdout.isTTY && format === "table" && flags.stream !== false;
  const stream = flags.stream ?? inPlace;
  const pace = new Pace();
  try {
    if (inPlace) process.stdout.write(hideCursor);
    let rows = await read();
    do {
      if (rows === undefined || !(await pace.wait(intervalMs))) break;
      rows = await read();
      if (rows === undefined) break;
      process.stdout.write(textOfRows(format, rows, columns, inPlace, stream));
    } while (stream);
  } finally {
    if (inPlace) process.stdout.write(showCursor);
    pace.stop();
  }
  return pace.status;
}

function textOfRows<Row>(
  format: Format,
  rows: readonly Row[],
  columns: Column<Row>[],
  inPlace: boolean,
  stream: boolean,
): string {
  if (format === "table") {
    const lines = tableLines(columns, rows);
    // What does not fit the window would scroll it, and the header away.
    if (inPlace)
      return `${clearAndHome}${lines.slice(0, Math.max((process.stdout.rows || 24) - 1, 2)).join("\r\n")}\r\n`;
    return `${lines.join("\n")}\n${stream ? "\n" : ""}`;
  }
  return rows.map((row) => `${format === "json" ? JSON.stringify(row) : format(row)}\n`).join("");
}

/** Waits between two readings, and ends early when the person asks for it, or the reader has left. */
class Pace {
  /** What the command shall end with. */
  status: number = exitCodes.ok;
  #over = false;
  #wake: () => void = () => undefined;
  readonly #stop = (): void => {
    this.#over = true;
    this.#wake();
  };

  constructor() {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, this.#stop);
    process.stdout.on("error", this.#stop);
  }

  /** False: it is over. */
  async wait(ms: number): Promise<boolean> {
    if (this.#over) return false;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
    return !this.#over;
  }

  stop(): void {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.removeListener(name, this.#stop);
  }
}
