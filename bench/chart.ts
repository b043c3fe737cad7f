// The chart: for each figure that has a name for it, Moor's in parts of the better stock shim's, as a bar; rates are turned
// round, so that shorter is better everywhere. A small writer of SVG; light and dark pages both show it well.

import { type Figure, ratioToBetter } from "./figure.ts";
import type { Facts } from "./machine.ts";
import type { Titles } from "./table.ts";

const width = 840;
const labelWidth = 300;
const rowHeight = 24;
const top = 72;
const bottom = 56;
/** The right edge; a longer bar is cut and says so by its number. */
const largestRatio = 1.5;
const plotWidth = width - labelWidth - 90;

const style = `
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 17px; font-weight: 600 } .small { font-size: 11px; fill: #57606a } .number { font-weight: 600 }
  .bar { fill: #2da44e } .worse { fill: #cf7d22 } .aim { stroke: #24292f; stroke-width: 2 }
  .grid { stroke: #d0d7de } .one { stroke: #57606a; stroke-dasharray: 4 3 } .page { fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 } .aim { stroke: #e6edf3 } .grid { stroke: #3d444d }
    .one { stroke: #9198a1 } .bar { fill: #3fb950 } .worse { fill: #db8b2f } .page { fill: #0d1117 }
  }`;

interface Row {
  readonly label: string;
  readonly ratio: number;
  readonly aim: number | undefined;
}

/** The whole SVG document. */
export function drawChart(figures: readonly Figure[], titles: Titles, facts: Facts): string {
  const rows = figures.flatMap((figure) => rowOf(figure) ?? []);
  const height = top + rows.length * rowHeight + bottom;
  const stocks = [titles.older, titles.newer].filter((title) => title !== undefined).join(" and ");
  const parts = [
    `<rect class="page" width="${width}" height="${height}" rx="6"/>`,
    text(16, 28, "Moor beside the better of the stock shims, figure by figure", "title"),
    text(16, 48, `1 is the better of ${stocks}; shorter is better; the mark is what is aimed at`, "small"),
    ...[0, 0.25, 0.5, 0.75, 1, 1.25, 1.5].map((ratio) => gridLine(ratio, height)),
    ...rows.flatMap((row, i) => drawRow(row, top + i * rowHeight)),
    text(16, height - 14, `${facts["date"] ?? ""}; ${facts["processor"] ?? ""}; ${facts["system"] ?? ""}`, "small"),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`,
    `<title>Moor beside the stock shims</title>`,
    `<style>${style}\n</style>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

function rowOf(figure: Figure): Row | undefined {
  const { chart, id, aim, isRate } = figure.kind;
  const ratio = ratioToBetter(figure)?.value;
  if (chart === undefined || ratio === undefined) return undefined;
  const turn = (value: number): number => (isRate === true ? 1 / value : value);
  return {
    label: `${id}  ${chart}`,
    ratio: turn(ratio),
    aim: aim?.ratio === undefined ? undefined : turn(aim.ratio),
  };
}

function drawRow({ label, ratio, aim }: Row, y: number): string[] {
  const length = Math.min(ratio, largestRatio) * scale();
  const middle = y + rowHeight / 2;
  const parts = [
    text(16, middle + 4, label),
    `<rect class="bar${ratio > 1 ? " worse" : ""}" x="${labelWidth}" y="${y + 5}" width="${length.toFixed(1)}" height="${rowHeight - 10}" rx="2"/>`,
  ];
  if (aim !== undefined && aim <= largestRatio) {
    const x = (labelWidth + aim * scale()).toFixed(1);
    parts.push(`<line class="aim" x1="${x}" y1="${y + 2}" x2="${x}" y2="${y + rowHeight - 2}"/>`);
  }
  const beside = labelWidth + Math.max(length, Math.min(aim ?? 0, largestRatio) * scale()) + 8;
  parts.push(text(beside, middle + 4, ratio < 0.1 ? ratio.toFixed(3) : ratio.toFixed(2), "number"));
  return parts;
}

function gridLine(ratio: number, height: number): string {
  const x = (labelWidth + ratio * scale()).toFixed(1);
  const line = `<line class="${ratio === 1 ? "one" : "grid"}" x1="${x}" y1="${top - 6}" x2="${x}" y2="${height - bottom + 6}"/>`;
  return `${line}<text class="small" x="${x}" y="${height - bottom + 20}" text-anchor="middle">${ratio}</text>`;
}

function scale(): number {
  return plotWidth / largestRatio;
}

function text(x: number, y: number, words: string, kind = ""): string {
  const escaped = words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}"${kind === "" ? "" : ` class="${kind}"`}>${escaped}</text>`;
}
