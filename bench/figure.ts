// One line of the table: what is measured, the samples of each side, what is aimed at, and whether that is met.

import type { ColumnName, StockName } from "./side.ts";
import { quantile, type Ratio, ratioOf } from "./statistics.ts";

export type Unit = "ms" | "us" | "KB" | "GiB/s" | "s/GiB" | "";

/** What Moor's figure shall be, beside the better of the stock shims' or by itself. */
export interface Aim {
  /** Moor / the better stock shim. */
  readonly ratio?: number;
  /** Moor's own figure, whatever the others' is. */
  readonly value?: number;
  /** No more than conmon's. */
  readonly conmon?: true;
}

export interface FigureKind {
  /** As in the table of aims: "B1". */
  readonly id: string;
  readonly what: string;
  readonly unit: Unit;
  readonly aim?: Aim;
  /** Which quantile of the samples is the figure: 0.5, the median, when it is not given. */
  readonly quantile?: number;
  /** More is better: a rate. */
  readonly isRate?: true;
  /** Its name in the chart; a figure without one is in the table only. */
  readonly chart?: string;
}

export type Samples = Readonly<Partial<Record<ColumnName, readonly number[]>>>;

export interface Figure {
  readonly kind: FigureKind;
  readonly samples: Samples;
}

/** Collects samples for a figure. */
export class Sampling {
  readonly #kind: FigureKind;
  readonly #samples: Partial<Record<ColumnName, number[]>> = {};

  constructor(kind: FigureKind) {
    this.#kind = kind;
  }

  add(column: ColumnName, value: number): void {
    (this.#samples[column] ??= []).push(value);
  }

  figure(): Figure {
    return { kind: this.#kind, samples: this.#samples };
  }
}

/** A side's figure; undefined when it has no samples. */
export function valueOf({ kind, samples }: Figure, column: ColumnName): number | undefined {
  const list = samples[column];
  return list === undefined || list.length === 0 ? undefined : quantile(list, kind.quantile ?? 0.5);
}

/** The stock shim that Moor is held against: the one with the better figure. */
export function betterStock(figure: Figure): StockName | undefined {
  const [older, newer] = [valueOf(figure, "older"), valueOf(figure, "newer")];
  if (older === undefined || newer === undefined) {
    return older !== undefined ? "older" : newer !== undefined ? "newer" : undefined;
  }
  return newer < older === (figure.kind.isRate !== true) ? "newer" : "older";
}

/** Moor's figure in parts of the better stock shim's. */
export function ratioToBetter(figure: Figure): Ratio | undefined {
  const better = betterStock(figure);
  const [ours, theirs] = [figure.samples.moor, better === undefined ? undefined : figure.samples[better]];
  if (ours === undefined || theirs === undefined || ours.length === 0) return undefined;
  const ratio = ratioOf(ours, theirs, figure.kind.quantile);
  return Number.isFinite(ratio.value) ? ratio : undefined;
}

/** Whether the aim is met; undefined without an aim, or where nothing can be said. */
export function meetsAim(figure: Figure): boolean | undefined {
  const { aim, isRate } = figure.kind;
  const ours = valueOf(figure, "moor");
  if (aim === undefined || ours === undefined) return undefined;
  const verdicts: boolean[] = [];
  const ratio = ratioToBetter(figure)?.value;
  // What is shown with two digits is compared with two.
  if (aim.ratio !== undefined && ratio !== undefined) {
    verdicts.push(isRate === true ? rounded(ratio) >= aim.ratio : rounded(ratio) <= aim.ratio);
  }
  if (aim.value !== undefined) verdicts.push(isRate === true ? ours >= aim.value : ours <= aim.value);
  const conmon = valueOf(figure, "conmon");
  if (aim.conmon === true && conmon !== undefined) verdicts.push(ours <= conmon);
  return verdicts.length === 0 ? undefined : verdicts.every((verdict) => verdict);
}

function rounded(ratio: number): number {
  return Math.round(ratio * 100) / 100;
}
