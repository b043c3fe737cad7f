// One process of many that live lives: it is sent a first seed and a count, and answers what they have seen in sum. It ends
// with the one that has started it.

import { live } from "./life.ts";
import type { Bad, Lot } from "./many.ts";

interface Task {
  readonly first: number;
  readonly count: number;
  readonly keepsGoing: boolean;
}

let rejected: unknown;

async function work({ first, count, keepsGoing }: Task): Promise<Lot> {
  const sums = new Map<string, number>();
  const bad: Bad[] = [];
  let lives = 0;
  for (let seed = first; seed < first + count; seed++) {
    const story = await live(seed, false);
    lives++;
    // Node tells of rejections once nothing else is to be done.
    if (seed % 16 === 0 || seed === first + count - 1) await new Promise((resolve) => setImmediate(resolve));
    for (const [name, more] of story.seen) sums.set(name, (sums.get(name) ?? 0) + more);
    const broken =
      story.broken ?? (rejected === undefined ? undefined : `a rejection nobody took: ${String(rejected)}`);
    rejected = undefined;
    if (broken === undefined) continue;
    bad.push({ seed, broken });
    if (!keepsGoing) break;
  }
  return { lives, sums: [...sums], bad };
}

function main(): void {
  // Thousands of refusals are made in each second, and their stacks are of interest to nobody.
  Error.stackTraceLimit = 0;
  process.on("unhandledRejection", (thrown) => {
    rejected = thrown ?? "nothing";
  });
  // Whoever has started this one is gone.
  process.on("disconnect", () => process.exit());
  process.on("message", (task: Task) => void work(task).then((lot) => process.send?.(lot)));
}

main();
