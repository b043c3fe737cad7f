// Runs one case against one shim: within its time, on a ground of its own, with a verdict in one sentence, and nothing of
// it left on the machine afterwards, whatever the shim did.

import { within } from "../test/harness/until.ts";
import { type Case, NotApplicable, Shortfall, shorten } from "./case.ts";
import { Ground } from "./ground.ts";
import { CallRefused } from "./shim.ts";
import type { Subject } from "./subject.ts";

export interface Result {
  readonly id: string;
  readonly outcome: "pass" | "fail" | "n/a";
  /** What falls short, or why the case does not apply; empty for a pass. */
  readonly detail: string;
  readonly ms: number;
  /** What was still there after a pass and an end in good order. */
  readonly left: readonly string[];
}

const usualLimitMs = 30_000;
const endLimitMs = 20_000;

export async function runCase(subject: Subject, theCase: Case, rootfs: string): Promise<Result> {
  const began = performance.now();
  const ground = new Ground(subject, rootfs);
  let left: string[] = [];
  let verdict: Pick<Result, "outcome" | "detail">;
  try {
    await ground.open();
    const limitMs = theCase.limitMs ?? usualLimitMs;
    const run = theCase.run(ground);
    // It may go on after its time is over; what it throws then is nobody's.
    run.catch(() => undefined);
    await within("the case to end", limitMs, run);
    verdict = { outcome: "pass", detail: "" };
    await within("the end in good order", endLimitMs, ground.end()).catch(() => undefined);
    left = await ground.leftovers();
  } catch (thrown) {
    verdict = judge(thrown);
  } finally {
    await ground.close();
  }
  verdict = { ...verdict, detail: plain(verdict.detail, ground) };
  left = left.map((line) => plain(line, ground));
  return { id: theCase.id, ...verdict, ms: Math.round(performance.now() - began), left };
}

/** Without the names of this run, so that two runs can be compared. */
function plain(text: string, { dir, tag }: Ground): string {
  return text.replaceAll(`${dir}/`, "").replaceAll(`-${tag}`, "");
}

function judge(thrown: unknown): Pick<Result, "outcome" | "detail"> {
  if (thrown instanceof NotApplicable) return { outcome: "n/a", detail: thrown.message };
  if (thrown instanceof CallRefused) return { outcome: "fail", detail: thrown.sentence() };
  if (thrown instanceof Shortfall) return { outcome: "fail", detail: thrown.message };
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return { outcome: "fail", detail: shorten(text) };
}
