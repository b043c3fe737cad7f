// The results as a person reads them: a line for each case, a column for each shim, and below it what fell short.

import type { Case } from "./case.ts";
import type { Result } from "./run-case.ts";
import type { Subject } from "./subject.ts";

export interface Column {
  readonly subject: Subject;
  readonly results: readonly Result[];
}

/** The id of the verdict over all cases; it is no case of its own. */
export const nothingLeftId = "after-all.nothing-left";
const shown = { pass: "pass", fail: "FAIL", "n/a": "n/a" } as const;

/** The verdict over what was left after the cases that passed and ended in good order. */
export function judgeLeftovers(results: readonly Result[]): Result {
  const leaving = results.filter(({ left }) => left.length > 0);
  const names = leaving.map(({ id }) => id);
  const detail = leaving.length === 0 ? "" : `after ${names.join(", ")} there was left: ${leaving[0]?.left[0] ?? ""}`;
  return { id: nothingLeftId, outcome: leaving.length === 0 ? "pass" : "fail", detail, ms: 0, left: [] };
}

/** Columns of one head as one; of two verdicts on a case the later one counts. */
export function joinColumns(columns: readonly Column[]): Column[] {
  const heads = [...new Set(columns.map(({ subject }) => subject.name))];
  return heads.flatMap((head) => {
    const same = columns.filter(({ subject }) => subject.name === head);
    const verdicts = new Map(same.flatMap(({ results }) => results.map((result) => [result.id, result])));
    verdicts.delete(nothingLeftId);
    const results = [...verdicts.values()];
    const last = same.at(-1);
    return last === undefined ? [] : [{ subject: last.subject, results: [...results, judgeLeftovers(results)] }];
  });
}

/** "61 pass, 3 fail, 2 n/a". */
export function countsOf(results: readonly Result[]): string {
  const count = (outcome: Result["outcome"]): number => results.filter((each) => each.outcome === outcome).length;
  return `${count("pass")} pass, ${count("fail")} fail, ${count("n/a")} n/a`;
}

/** The table for a terminal. */
export function formatTable(cases: readonly Case[], columns: readonly Column[]): string {
  const titles = new Map(cases.map(({ id, title }) => [id, title]));
  titles.set(nothingLeftId, "After all cases nothing is left");
  const ids = [...titles.keys()].filter((id) => columns.some(({ results }) => results.some((each) => each.id === id)));
  const idWidth = Math.max(4, ...ids.map((id) => id.length));
  const titleWidth = Math.max(5, ...ids.map((id) => titles.get(id)?.length ?? 0));
  const widths = columns.map(({ subject }) => Math.max(4, subject.name.length));
  const row = (first: string, second: string, cells: readonly string[]): string =>
    `${first.padEnd(idWidth)}  ${second.padEnd(titleWidth)}  ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ")}`.trimEnd();
  const lines = [
    row(
      "case",
      "",
      columns.map(({ subject }) => subject.name),
    ),
  ];
  for (const id of ids) {
    const cells = columns.map(({ results }) => {
      const result = results.find((each) => each.id === id);
      return result === undefined ? "-" : shown[result.outcome];
    });
    lines.push(row(id, titles.get(id) ?? "", cells));
  }
  return [...lines, ...columns.map(explain)].join("\n");
}

function explain({ subject, results }: Column): string {
  const lines = ["", `${subject.name}: ${countsOf(results)} (${subject.file}, ${subject.version})`];
  for (const { id, outcome, detail } of results) {
    if (outcome !== "pass") lines.push(`  ${shown[outcome]}  ${id}: ${detail}`);
  }
  return lines.join("\n");
}
