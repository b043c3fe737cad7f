// One line of the table: what is measured, and the samples of each side.

import type { SideName } from "./side.ts";
import { ratioOfMedians, summarise } from "./statistics.ts";

export type Unit = "ms" | "us" | "KB";

export interface Figure {
  /** As in the table of aims: "B1", or a part of it: "B3 Create". */
  readonly id: string;
  readonly what: string;
  readonly unit: Unit;
  readonly samples: Readonly<Record<SideName, readonly number[]>>;
}

/** Collects samples for a figure. */
export class Sampling {
  readonly samples: Record<SideName, number[]> = { moor: [], stock: [] };
  readonly #id: string;
  readonly #what: string;
  readonly #unit: Unit;

  constructor(id: string, what: string, unit: Unit) {
    this.#id = id;
    this.#what = what;
    this.#unit = unit;
  }

  add(side: SideName, value: number): void {
    this.samples[side].push(value);
  }

  figure(): Figure {
    return { id: this.#id, what: this.#what, unit: this.#unit, samples: this.samples };
  }
}

/** The figures as a table for a terminal; it is valid Markdown too. */
export function formatTable(figures: readonly Figure[]): string {
  const header = ["", "figure", "stock", "Moor", "Moor / stock", "n"];
  const rows = figures.map(({ id, what, unit, samples: { moor, stock } }) => {
    const ratio = ratioOfMedians(moor, stock);
    const interval = ratio.interval === undefined ? "" : ` (${ratio.interval.map(formatRatio).join("-")})`;
    return [
      id,
      what,
      formatSide(stock, unit),
      formatSide(moor, unit),
      `${formatRatio(ratio.value)}${interval}`,
      String(Math.min(moor.length, stock.length)),
    ];
  });
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] as string).length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] as number)).join(" | ")} |`;
  const rule = `| ${widths.map((width) => "-".repeat(Math.max(3, width))).join(" | ")} |`;
  return [line(header), rule, ...rows.map(line)].join("\n");
}

function formatSide(samples: readonly number[], unit: Unit): string {
  const { count, median, lowerQuartile, upperQuartile } = summarise(samples);
  const number = (value: number) => formatNumber(value, unit);
  if (count === 1) return `${number(median)} ${unit}`;
  return `${number(median)} ${unit} [${number(lowerQuartile)}-${number(upperQuartile)}]`;
}

function formatNumber(value: number, unit: Unit): string {
  if (unit === "KB") return String(Math.round(value));
  return value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0);
}

function formatRatio(value: number): string {
  return value < 0.1 ? value.toFixed(3) : value.toFixed(2);
}
