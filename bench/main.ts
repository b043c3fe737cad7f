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
import { machineFacts } from "./machine.ts";
import { Progress } from "./progress.ts";
import { Stage } from "./stage.ts";
import { summarise } from "./statistics.ts";
import { formatTable, type Titles } from "./table.ts";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    json: { type: "string", default: `${repositoryDir()}/build/bench.json` },
  },
});
const wanted = values.only?.split(",") ?? Object.keys(catalogue);
for (const id of wanted) {
  if (catalogue[id] === undefined) throw new Error(`there is no figure ${id}: ${Object.keys(catalogue).join(", ")}`);
}

const progress = new Progress();
/** Ctrl-C ends the measuring at its next step, so that what was started is ended too. */
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => progress.stop());

const stage = new Stage();
try {
  await stage.open(await findCast());
  const facts = await machineFacts(stage);
  const names = Math.max(...Object.keys(facts).map((name) => name.length));
  for (const [name, value] of Object.entries(facts)) process.stdout.write(`${name.padEnd(names)}  ${value}\n`);
  const extent = { isQuick: values.quick, tell: (text: string) => progress.tell(text) };
  const figures: Figure[] = [];
  for (const id of wanted) figures.push(...(await (catalogue[id] as Measure)(stage, extent)));
  progress.end();
  const titles: Titles = {
    conmon: "conmon",
    ...Object.fromEntries(stage.sides.map(({ name, title }) => [name, title])),
  };
  process.stdout.write(`\n${formatTable(figures, titles)}\n\n`);
  process.stdout.write("Medians [quartiles]; the ratio to the better stock shim (95 % confidence interval).\n");
  const path = resolve(values.json);
  mkdirSync(dirname(path), { recursive: true });
  const report = { facts, titles, quick: values.quick, figures: figures.map(withSummary) };
  writeFileSync(path, `${JSON.stringify(report, null, 1)}\n`);
  const chart = path.replace(/(\.json)?$/, ".svg");
  writeFileSync(chart, drawChart(figures, titles, facts));
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
