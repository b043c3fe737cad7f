// Prints docs/state-machine.md from the state table. Used by the table's test, which compares or writes the page.

import {
  execTable,
  initTable,
  next,
  type ProcessState,
  type Request,
  type Happening,
  type Table,
} from "./state-table.ts";

const requests: readonly Request[] = [
  "start",
  "pause",
  "resume",
  "kill",
  "exec",
  "startExec",
  "update",
  "checkpoint",
  "resize",
  "closeIo",
  "delete",
];
const happenings: readonly Happening[] = [
  "started",
  "startFailed",
  "paused",
  "pauseFailed",
  "resumed",
  "resumeFailed",
  "exited",
  "announced",
  "deleted",
  "deleteFailed",
];

const opening = `# The life of a process

This page is printed from \`src/shim/state-table.ts\` by its test; \`UPDATE_DOCS=1 make unit T=state-table\` prints it anew.

A row is what a client asks or what happens; a column is the state in which the process is then. A cell says what
follows (states that a process of the kind never gets into are left out):

- **bold**: the state it goes to;
- ok: it is done, and the state stays;
- kill first: it is killed, and asked again once its exit has been announced;
- later: it is asked again once the exit has been announced (an exit during a start: once the start has its outcome);
- join: the same is under way, and its outcome is taken;
- (n): refused, with the reason below;
- empty: nothing, the late outcome of something that was overtaken.
`;

/** The whole page. */
export function printStateMachine(): string {
  const reasons: string[] = [];
  const init = printTable(initTable, reasons);
  const exec = printTable(execTable, reasons);
  const list = reasons.map((reason, index) => `${index + 1}. ${reason}`).join("\n");
  return `${opening}\n## Init\n\n${init}\n## Exec\n\n${exec}\n## Refusals\n\n${list}\n`;
}

function printTable(table: Table, reasons: string[]): string {
  const states = reachable(table);
  const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |\n`;
  let text = row(["", ...states]) + row(["---", ...states.map(() => "---")]);
  for (const what of [...requests, ...happenings]) {
    const name = requests.includes(what as Request) ? what : `*${what}*`;
    text += row([name, ...states.map((state) => printCell(table, state, what, reasons))]);
  }
  return text;
}

function printCell(table: Table, state: ProcessState, what: Request | Happening, reasons: string[]): string {
  const cell = next(table, state, what);
  if (cell.kind === "to") return `**${cell.state}**`;
  if (cell.kind === "killFirst") return "kill first";
  if (cell.kind !== "no") return cell.kind !== "stay" ? cell.kind : requests.includes(what as Request) ? "ok" : "";
  const reason = `\`${cell.code}\`: ${cell.why}`;
  if (!reasons.includes(reason)) reasons.push(reason);
  return `(${reasons.indexOf(reason) + 1})`;
}

/** In the order of the table. */
function reachable(table: Table): readonly ProcessState[] {
  const found = new Set<ProcessState>(["created"]);
  for (const state of found) {
    for (const what of [...requests, ...happenings]) {
      const cell = next(table, state, what);
      if (cell.kind === "to") found.add(cell.state);
    }
  }
  return (Object.keys(table) as ProcessState[]).filter((state) => found.has(state));
}
