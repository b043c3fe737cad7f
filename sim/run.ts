// Lives by the number, for a terminal and for the tests: `node run.js FIRST COUNT`, or with SEED=N one life with its log.
// Ends with 1 at the first life that shows a bug, after its seed and its log.

import { live } from "./life.ts";

async function main(): Promise<number> {
  let rejected: unknown;
  process.on("unhandledRejection", (thrown) => {
    rejected = thrown ?? "nothing";
  });
  const { SEED: only } = process.env;
  if (only !== undefined) {
    const story = await live(Number(only), true);
    process.stdout.write(`${story.log.join("\n")}\nseed ${only}: ${story.broken ?? "all is well"}\n`);
    return story.broken === undefined ? 0 : 1;
  }
  const [first = 1, count = 1000] = process.argv.slice(2).map(Number);
  const keepsGoing = process.env["KEEP_GOING"] !== undefined;
  // Thousands of refusals are made in each second, and their stacks are of interest to nobody.
  Error.stackTraceLimit = 0;
  const startedMs = performance.now();
  const sums = { turns: 0, calls: 0, events: 0, faults: 0 };
  let bad = 0;
  for (let seed = first; seed < first + count; seed++) {
    const story = await live(seed, false);
    // Node tells of rejections once nothing else is to be done.
    if (seed % 16 === 0 || seed === first + count - 1) await new Promise((resolve) => setImmediate(resolve));
    for (const key of ["turns", "calls", "events", "faults"] as const) sums[key] += story[key];
    const broken =
      story.broken ?? (rejected === undefined ? undefined : `a rejection nobody took: ${String(rejected)}`);
    rejected = undefined;
    if (broken === undefined) continue;
    bad++;
    process.stdout.write(`seed ${seed}: ${broken}\n`);
    if (keepsGoing) continue;
    process.stdout.write(`${(await live(seed, true)).log.join("\n")}\nseed ${seed}: ${broken}\n`);
    return 1;
  }
  const seconds = (performance.now() - startedMs) / 1000;
  const shown = Object.entries(sums).map(([name, sum]) => `${sum} ${name}`);
  process.stdout.write(
    `${count} lives in ${seconds.toFixed(1)} s, ${Math.round(count / seconds)} a second: ${shown.join(", ")}\n`,
  );
  return bad === 0 ? 0 : 1;
}

process.exitCode = await main();
