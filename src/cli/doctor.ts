// `moor doctor [--fix]`: looks over the machine and every shim, tells what is wrong, what that means and how it is mended,
// and with --fix mends what can be mended without touching anything that lives.

import { statusNow } from "./doctor-shims.ts";
import { exitCodes, textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import { checkLeftovers } from "./doctor-leftovers.ts";
import { checkMachine } from "./doctor-machine.ts";
import { checkShims } from "./doctor-shims.ts";
import { checkStreams } from "./doctor-streams.ts";
import type { Finding, Grade } from "./finding.ts";
import type { Paint } from "./paint.ts";

export interface DoctorFlags {
  readonly fix: boolean;
  readonly format: "table" | "json";
  /** Where shims have their sockets. */
  readonly sockets: string;
  /** A folder of unit files that is read in systemd's place; undefined: systemd's own view. */
  readonly units: string | undefined;
}

/** One finding as JSON has it: a stable interface. */
interface Told extends Omit<Finding, "fix"> {
  readonly fixable: boolean;
  /** Null: it was not tried. */
  readonly fixed: boolean | null;
  /** Why it could not be mended. */
  readonly fault: string | null;
}

const signs: Readonly<Record<Grade, string>> = { ok: "ok", note: "note", problem: "PROBLEM" };

/** Ends with 0 when there is no problem (any more), with 1 otherwise. */
export async function doctorCommand(context: Context, flags: DoctorFlags): Promise<number> {
  const seen = await statusNow(context);
  const groups = await Promise.all([
    checkMachine(context, seen, flags.units),
    // What is mounted in a folder is mended before the folder.
    checkLeftovers(context, seen),
    checkShims(context, seen, flags.sockets),
    checkStreams(context, seen),
  ]);
  const told: Told[] = [];
  for (const finding of groups.flat()) told.push(await tell(finding, flags.fix));
  if (flags.format === "json") process.stdout.write(`${JSON.stringify(told, undefined, 2)}\n`);
  else process.stdout.write(told.map((each) => textOfFinding(each, context.paint)).join("") + summary(told, flags.fix));
  return told.some(({ grade, fixed }) => grade === "problem" && fixed !== true) ? exitCodes.failure : exitCodes.ok;
}

async function tell(finding: Finding, fix: boolean): Promise<Told> {
  const { fix: mend, ...rest } = finding;
  const told = { ...rest, fixable: mend !== undefined, fixed: null, fault: null };
  if (!fix || mend === undefined) return told;
  try {
    await mend();
    return { ...told, fixed: true };
  } catch (thrown) {
    return { ...told, fixed: false, fault: textOf(thrown) };
  }
}

function textOfFinding(told: Told, paint: Paint): string {
  const { grade, check, subject, what, meaning, command, fixed, fault, fixable } = told;
  const sign = signs[grade].padEnd(signs.problem.length);
  const dressed = grade === "problem" ? paint.bad(sign) : grade === "ok" ? paint.good(sign) : paint.strong(sign);
  const lines = [`${dressed}  ${check}  ${subject}: ${what}`];
  if (meaning !== "") lines.push(`         it means:  ${meaning}`);
  if (fixed === true) lines.push("         mended");
  else if (fixed === false) lines.push(`         not mended: ${fault}`);
  if (command !== "" && fixed !== true) {
    lines.push(`         mend it by:  ${command}${fixable && fixed === null ? "   (or moor doctor --fix)" : ""}`);
  }
  return `${lines.join("\n")}\n`;
}

function summary(told: readonly Told[], fix: boolean): string {
  const problems = told.filter(({ grade }) => grade === "problem").length;
  const mended = told.filter(({ fixed }) => fixed === true).length;
  const text = problems === 0 ? "no problem found" : `${problems} ${problems === 1 ? "problem" : "problems"} found`;
  return `${text}${fix ? `, ${mended} mended` : ""}\n`;
}
