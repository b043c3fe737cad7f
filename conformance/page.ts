// The parts of docs/conformance.md that are made from the code and from results, each between two marks of its name.

import type { Case } from "./case.ts";
import { type Column, countsOf, nothingLeftId } from "./table.ts";

const shown = { pass: "pass", fail: "**fail**", "n/a": "n/a" } as const;

/** Puts `content` between the marks `<!-- NAME -->` and `<!-- /NAME -->`. @throws Error when they are not there. */
export function replacePart(page: string, name: string, content: string): string {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`the page has no part ${name}`);
  return `${page.slice(0, from + begin.length)}\n\n${content}\n\n${page.slice(to)}`;
}

/** What each case demands, why, and where the demand comes from. */
export function casesPart(cases: readonly Case[]): string {
  const groups = new Map<string, Case[]>();
  for (const each of cases) {
    const group = each.id.split(".")[0] ?? "";
    groups.set(group, [...(groups.get(group) ?? []), each]);
  }
  return [...groups].map(([group, members]) => `### ${group}\n\n${members.map(entry).join("\n")}`).join("\n\n");
}

function entry({ id, title, demand, why, source, isSlow }: Case): string {
  const slow = isSlow === true ? " Only with `SLOW=1`." : "";
  return `- **\`${id}\`** ${title}. ${sentence(demand)}${slow}\n  *Why:* ${sentence(why)}\n  *Source:* ${sentence(source)}`;
}

function sentence(text: string): string {
  return /[.?!]$/.test(text) ? text : `${text}.`;
}

/** The table of results, and below it each fall short in the words of the run. */
export function resultsPart(cases: readonly Case[], columns: readonly Column[]): string {
  const ids = [...cases.map(({ id }) => id), nothingLeftId];
  const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const lines = [
    row(["case", ...columns.map(({ subject }) => subject.name)]),
    row(["---", ...columns.map(() => "---")]),
    row(["", ...columns.map(({ results }) => countsOf(results))]),
  ];
  for (const id of ids) {
    const found = columns.map(({ results }) => results.find((result) => result.id === id));
    if (found.every((result) => result === undefined)) continue;
    const cells = found.map((result) => (result === undefined ? "" : shown[result.outcome]));
    lines.push(row([`\`${id}\``, ...cells]));
  }
  return [lines.join("\n"), ...columns.map(explanation)].join("\n\n");
}

function explanation({ subject, results }: Column): string {
  const short = results.filter(({ outcome }) => outcome !== "pass");
  const head = `**${subject.name}** (${subject.version.replace(/^\S*\//, "")})`;
  if (short.length === 0) return `${head}: nothing falls short.`;
  return [
    `${head}:`,
    "",
    ...short.map(({ id, outcome, detail }) => `- \`${id}\` (${outcome}): ${escape(detail)}`),
  ].join("\n");
}

/** Text of a shim's, which is not to be read as Markdown. */
function escape(text: string): string {
  return text.replaceAll(/[\\*_<>`|[\]]/g, (sign) => `\\${sign}`);
}
