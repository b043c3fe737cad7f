// The bench's entry: reads what is wanted, measures it, prints the table to standard output and writes every sample to a
// JSON file, with a chart beside it. Progress goes to standard error.

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseArgs } from "node:util";
import { repositoryDir } from "../test/harness/repository.ts";
import { findCast } from "./cast.ts";
import { catalogue, type Measure } from "./catalogue.ts";
import { drawChart } from "./chart.ts";
import { type Figure, meetsAim, ratioToBetter } from "./figure.ts";
import { type Facts, machineFacts } from "./machine.ts";
import { Progress } from "./progress.ts";
import type { Extent } from "./round.ts";
import { Stage } from "./stage.ts";
import { summarise } from "./statistics.ts";
import { formatTable, type Titles } from "./table.ts";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    json: { type: "string", default: `${repositoryDir()}/build/bench.json` },
    record: { type: "boolean", default: false },
  },
});
const wanted = values.only?.split(",") ?? Object.keys(catalogue);
for (const id of wanted) {
  if (catalogue[id] === undefined) throw new Error(`there is no figure ${id}: ${Object.keys(catalogue).join(", ")}`);
}

const explanation = `Medians [quartiles], or the 99th percentile where a line says so; the ratio is to the better of the two stock
shims (95 % confidence interval by bootstrap). KB are kibibytes, as in /proc.`;

const progress = new Progress();
/** Ctrl-C ends the measuring at its next step, so that what was started is ended too. */
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => progress.stop());

const stage = new Stage();
try {
  await stage.open(await findCast());
  const facts = await machineFacts(stage);
  process.stdout.write(formatFacts(facts));
  const extent = { isQuick: values.quick, tell: (text: string) => progress.tell(text) };
  const figures: Figure[] = [];
  for (const id of wanted) figures.push(...(await measured(id, extent)));
  progress.end();
  const titles: Titles = {
    conmon: "conmon",
    ...Object.fromEntries(stage.sides.map(({ name, title }) => [name, title])),
  };
  const table = formatTable(figures, titles);
  process.stdout.write(`\n${table}\n\n${explanation}\n`);
  const path = resolve(values.json);
  mkdirSync(dirname(path), { recursive: true });
  const report = { facts, titles, quick: values.quick, figures: figures.map(withSummary) };
  writeFileSync(path, `${JSON.stringify(report, null, 1)}\n`);
  const chart = path.replace(/(\.json)?$/, ".svg");
  const drawing = drawChart(figures, titles, facts);
  writeFileSync(chart, drawing);
  if (values.record) record(facts, table, drawing);
  process.stderr.write(`bench: all samples are in ${path}, a chart in ${chart}\n`);
} catch (thrown) {
  progress.end();
  process.stderr.write(`bench: ${progress.isStopped || !(thrown instanceof Error) ? String(thrown) : thrown.stack}\n`);
  process.exitCode = progress.isStopped ? 130 : 1;
} finally {
  for (const left of await stage.close()) {
    process.stderr.write(`bench: could not be removed: ${left}\n`);
    process.exitCode = 1;
  }
}

/** A figure that fails is said, and the others are taken all the same. */
async function measured(id: string, extent: Extent): Promise<Figure[]> {
  try {
    return await (catalogue[id] as Measure)(stage, extent);
  } catch (thrown) {
    if (progress.isStopped) throw thrown;
    progress.end();
    process.stderr.write(`bench: ${id} failed: ${thrown instanceof Error ? thrown.stack : String(thrown)}\n`);
    process.exitCode = 1;
    await stage.clear();
    return [];
  }
}

function formatFacts(facts: Facts): string {
  const width = Math.max(...Object.keys(facts).map((name) => name.length));
  return Object.entries(facts)
    .map(([name, value]) => `${name.padEnd(width)}  ${value}\n`)
    .join("");
}

/** What docs/performance.md and the README show is of a real run and written here, never by hand. */
function record(facts: Facts, table: string, drawing: string): void {
  const folder = `${repositoryDir()}/docs/performance`;
  mkdirSync(folder, { recursive: true });
  const kind = values.quick ? "a quick run, with few samples" : "a full run";
  const head = `# Figures\n\nWritten by \`make bench RECORD=1\`${values.quick ? " with `QUICK=1`" : ""}: ${kind}.`;
  const text = `${head}\n\n\`\`\`\n${formatFacts(facts)}\`\`\`\n\n${table}\n\n${explanation}\n`;
  writeFileSync(`${folder}/figures.md`, text);
  writeFileSync(`${folder}/chart.svg`, drawing);
}

function withSummary(figure: Figure): object {
  const summaries = Object.entries(figure.samples).map(([column, samples]) => [column, summarise(samples)]);
  return {
    ...figure.kind,
    summary: Object.fromEntries(summaries) as object,
    ratio: ratioToBetter(figure),
    met: meetsAim(figure),
    samples: figure.samples,
  };
}
