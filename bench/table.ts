// The figures as a table for a terminal; it is valid Markdown too.

import { type Aim, type Figure, meetsAim, ratioToBetter, type Unit, valueOf } from "./figure.ts";
import type { ColumnName } from "./side.ts";
import { summarise } from "./statistics.ts";

/** What the columns are called. conmon has one only when it was measured. */
export type Titles = Readonly<Partial<Record<ColumnName, string>>>;

export function formatTable(figures: readonly Figure[], titles: Titles): string {
  const columns = (["older", "newer", "conmon", "moor"] as const).filter((name) =>
    figures.some(({ samples }) => samples[name] !== undefined),
  );
  const header = ["", "figure", ...columns.map((name) => titles[name] ?? name), "Moor / better", "aim", "", "n"];
  const rows = figures.map((figure) => [
    figure.kind.id,
    figure.kind.what,
    ...columns.map((name) => formatSide(figure, name)),
    formatRatio(figure),
    formatAim(figure.kind.aim, figure.kind.isRate === true),
    formatVerdict(meetsAim(figure)),
    String(figure.samples.moor?.length ?? 0),
  ]);
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] as string).length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] as number)).join(" | ")} |`;
  const rule = `| ${widths.map((width) => "-".repeat(Math.max(3, width))).join(" | ")} |`;
  return [line(header), rule, ...rows.map(line)].join("\n");
}

function formatSide(figure: Figure, column: ColumnName): string {
  const value = valueOf(figure, column);
  if (value === undefined) return "-";
  const samples = figure.samples[column] as readonly number[];
  const { unit, quantile } = figure.kind;
  const text = `${formatNumber(value, unit)}${unit === "" ? "" : ` ${unit}`}`;
  if (samples.length < 2 || quantile !== undefined) return text;
  const { lowerQuartile, upperQuartile } = summarise(samples);
  return `${text} [${formatNumber(lowerQuartile, unit)}-${formatNumber(upperQuartile, unit)}]`;
}

function formatNumber(value: number, unit: Unit): string {
  if (unit === "KB") return String(Math.round(value));
  if (unit === "" && Number.isInteger(value)) return String(value);
  return value < 1
    ? value.toFixed(3)
    : value < 10
      ? value.toFixed(2)
      : value < 100
        ? value.toFixed(1)
        : value.toFixed(0);
}

function formatRatio(figure: Figure): string {
  const ratio = ratioToBetter(figure);
  if (ratio === undefined) return "";
  const text = (value: number): string => (value < 0.1 ? value.toFixed(3) : value.toFixed(2));
  const interval = ratio.interval === undefined ? "" : ` (${ratio.interval.map(text).join("-")})`;
  return `${text(ratio.value)}${interval}`;
}

function formatAim(aim: Aim | undefined, isRate: boolean): string {
  if (aim === undefined) return "";
  const sign = isRate ? ">=" : "<=";
  const parts: string[] = [];
  if (aim.ratio !== undefined) parts.push(`${sign} ${aim.ratio}`);
  if (aim.value !== undefined) parts.push(aim.value === 0 ? "0" : `${sign} ${aim.value} itself`);
  if (aim.conmon === true) parts.push("<= conmon");
  return parts.join(", ");
}

function formatVerdict(verdict: boolean | undefined): string {
  return verdict === undefined ? "" : verdict ? "met" : "MISSED";
}
