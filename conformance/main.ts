// The suite's entry: reads what is wanted, runs the cases against each shim, prints the table to standard output and the
// results to a JSON file if asked. Progress goes to standard error.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { makeRootfs } from "../test/harness/rootfs.ts";
import type { Case } from "./case.ts";
import { allCases } from "./cases.ts";
import { replacePart, resultsPart } from "./page.ts";
import { type Result, runCase } from "./run-case.ts";
import { findSubject, moorRuntime, type Subject } from "./subject.ts";
import { type Column, formatTable, joinColumns, judgeLeftovers } from "./table.ts";

const usage = `Runs the conformance cases against a containerd shim (runtime v2), as root, without containerd.

usage: main.js [options]

  --runtime NAME|FILE  a shim beside Moor: io.containerd.NAME.VERSION (its program is in PATH), or a path; repeatable;
                       HEAD=FILE gives its column another head
  --only TEXT,...      cases whose id begins with one of these
  --slow               also the cases that take a minute or more
  --without-moor       no column for Moor
  --jobs N             so many cases at once (2)
  --json FILE          results as JSON
  --results FILE       runs nothing: takes results that --json wrote; repeatable, what comes later counts
  --page FILE          writes the results into a page, between <!-- results --> and <!-- /results -->
  --list               prints the cases, runs nothing
  -h, --help           this text

Exit status: 0 when the shims named by --runtime (Moor, when none is) pass all that applies to them; 1 when one falls
short; 2 when the suite could not run; 130 when it was stopped.`;

/** What --json writes. */
interface Results {
  readonly columns: readonly Column[];
}

let isStopped = false;

try {
  process.exitCode = await main();
} catch (thrown) {
  process.stderr.write(`conformance: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
  process.exitCode = 2;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      runtime: { type: "string", multiple: true, default: [] },
      only: { type: "string" },
      slow: { type: "boolean", default: false },
      "without-moor": { type: "boolean", default: false },
      jobs: { type: "string", default: "2" },
      json: { type: "string" },
      results: { type: "string", multiple: true, default: [] },
      page: { type: "string" },
      list: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return say(`${usage}\n`);
  const prefixes = values.only?.split(",") ?? [""];
  const named = allCases.filter(({ id }) => prefixes.some((prefix) => id.startsWith(prefix)));
  if (named.length === 0) throw new Error(`no case's id begins with ${prefixes.join(" or ")}`);
  if (values.list) return say(named.map(({ id, title }) => `${id.padEnd(36)}${title}\n`).join(""));
  if (values.results.length > 0) {
    const read = values.results.flatMap((file) => (JSON.parse(readFileSync(file, "utf8")) as Results).columns);
    const columns = joinColumns(read);
    return tellResults(named, columns, columns, values);
  }
  if (process.getuid?.() !== 0) throw new Error("it runs containers, which needs root");
  const jobs = Number(values.jobs);
  if (!Number.isInteger(jobs) || jobs < 1) throw new Error(`--jobs takes a number above 0, not ${values.jobs}`);
  const cases = named.filter(({ isSlow }) => values.slow || isSlow !== true);
  const runtimes = values.runtime.filter((name) => name !== moorRuntime);
  const withMoor = !values["without-moor"];
  const columns = await runAll([...(withMoor ? [moorRuntime] : []), ...runtimes], cases, jobs);
  const judged = runtimes.length === 0 ? columns : columns.slice(withMoor ? 1 : 0);
  return tellResults(cases, columns, judged, values);
}

function say(text: string): number {
  process.stdout.write(text);
  return 0;
}

/** Runs the cases against each shim. @throws Error when a shim is not there. */
async function runAll(names: readonly string[], cases: readonly Case[], jobs: number): Promise<Column[]> {
  const subjects = await Promise.all(names.map(findSubject));
  if (subjects.length === 0) throw new Error("--without-moor needs a --runtime");
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => (isStopped = true));
  const dir = mkdtempSync(join(tmpdir(), "conf-rootfs-"));
  const columns: Column[] = [];
  try {
    await makeRootfs(dir);
    for (const subject of subjects) {
      const results = await runColumn(subject, cases, jobs, dir);
      columns.push({ subject, results: [...results, judgeLeftovers(results)] });
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  return columns;
}

/** Prints and writes what was found. @returns the exit status */
function tellResults(
  cases: readonly Case[],
  columns: readonly Column[],
  judged: readonly Column[],
  { json, page }: { json?: string | undefined; page?: string | undefined },
): number {
  process.stdout.write(`${formatTable(cases, columns)}\n`);
  const results: Results = { columns };
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(results, undefined, 1)}\n`);
  if (isStopped) return 130;
  if (page !== undefined) {
    writeFileSync(page, replacePart(readFileSync(page, "utf8"), "results", resultsPart(cases, columns)));
  }
  return judged.some(({ results: each }) => each.some(({ outcome }) => outcome === "fail")) ? 1 : 0;
}

/** The results in the order of the cases. */
async function runColumn(subject: Subject, cases: readonly Case[], jobs: number, rootfs: string): Promise<Result[]> {
  const results = new Map<string, Result>();
  const waiting = [...cases];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined && !isStopped; next = waiting.shift()) {
      const result = await runCase(subject, next, rootfs);
      results.set(next.id, result);
      tell(`${subject.name} ${results.size}/${cases.length}`, result);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return cases.flatMap(({ id }) => results.get(id) ?? []);
}

function tell(progress: string, { id, outcome, ms, detail }: Result): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${progress}  ${id}`);
  else process.stderr.write(`${progress}  ${id}: ${outcome} (${ms} ms)${detail === "" ? "" : `: ${detail}`}\n`);
}
