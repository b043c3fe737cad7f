// The bench's entry: reads what is wanted, measures it, prints the table to standard output and writes every sample to a
// JSON file. Progress goes to standard error.

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseArgs } from "node:util";
import { repositoryDir } from "../test/harness/repository.ts";
import { type Figure, formatTable } from "./figure.ts";
import { fullExtent, measures, quickExtent } from "./figures.ts";
import { machineFacts } from "./machine.ts";
import { Stage } from "./stage.ts";
import { ratioOfMedians, summarise } from "./statistics.ts";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    json: { type: "string", default: `${repositoryDir()}/build/bench.json` },
  },
});
const wanted = values.only?.split(",") ?? Object.keys(measures);
for (const id of wanted) {
  if (measures[id] === undefined) throw new Error(`there is no figure ${id}: ${Object.keys(measures).join(", ")}`);
}

/** Ctrl-C ends the measuring at its next step, so that what was started is ended too. */
let isStopped = false;
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => (isStopped = true));

const stage = new Stage();
try {
  const facts = await machineFacts(stage.sides);
  const names = Math.max(...Object.keys(facts).map((name) => name.length));
  for (const [name, value] of Object.entries(facts)) process.stdout.write(`${name.padEnd(names)}  ${value}\n`);
  await stage.open();
  const figures: Figure[] = [];
  for (const id of wanted) {
    figures.push(...((await measures[id]?.(stage, values.quick ? quickExtent : fullExtent, tell)) ?? []));
  }
  tellEnd();
  process.stdout.write(`\n${formatTable(figures)}\n\nMedians, [quartiles]; (95 % confidence interval of the ratio).\n`);
  const path = resolve(values.json);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(
    path,
    `${JSON.stringify({ facts, quick: values.quick, figures: figures.map(withSummary) }, null, 1)}\n`,
  );
  process.stderr.write(`bench: all samples are in ${path}\n`);
} catch (thrown) {
  tellEnd();
  process.stderr.write(`bench: ${isStopped || !(thrown instanceof Error) ? String(thrown) : thrown.stack}\n`);
  process.exitCode = isStopped ? 130 : 1;
} finally {
  for (const left of await stage.close()) {
    process.stderr.write(`bench: could not be removed: ${left}\n`);
    process.exitCode = 1;
  }
}

function withSummary(figure: Figure): object {
  const { moor, stock } = figure.samples;
  return { ...figure, moor: summarise(moor), stock: summarise(stock), ratio: ratioOfMedians(moor, stock) };
}

/** One line that is written over on a terminal, and a line now and then elsewhere. */
function tell(text: string): void {
  if (isStopped) throw new Error("stopped");
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  else if (/ (?:[05]|\d*0) of /.test(text) || text.startsWith("B10")) process.stderr.write(`${text}\n`);
}

function tellEnd(): void {
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
}
