// Lives by the number, for a terminal (`make sim`): `node run.js COUNT [FIRST]`, with a line of progress and a summary.
// One alone is told with its log. A seed that shows a bug is told with how to repeat it, and ends the run with status 1;
// with KEEP_GOING in the environment the others are lived all the same.

import { live } from "./life.ts";
import { type Bad, liveMany, type Sums } from "./many.ts";

const progressMs = 10_000;

async function main(): Promise<number> {
  const [count = 1000, first = 1] = process.argv.slice(2).map(Number);
  if (!Number.isInteger(count) || !Number.isInteger(first) || count < 1) {
    process.stderr.write("usage: run.js COUNT [FIRST]\n");
    return 2;
  }
  return count === 1 ? one(first) : many(first, count);
}

async function one(seed: number): Promise<number> {
  const story = await live(seed, true);
  process.stdout.write(`${story.log.join("\n")}\nseed ${seed}: ${story.broken ?? "all is well"}\n`);
  return story.broken === undefined ? 0 : 1;
}

async function many(first: number, count: number): Promise<number> {
  const startedMs = performance.now();
  const isTerminal = process.stdout.isTTY;
  let saidMs = startedMs;
  let told = 0;
  const onProgress = (lives: number, bad: readonly Bad[]): void => {
    for (; told < bad.length; told++) tell(bad[told]);
    const nowMs = performance.now();
    if (nowMs - saidMs < (isTerminal ? progressMs / 20 : progressMs)) return;
    saidMs = nowMs;
    const rate = lives / ((nowMs - startedMs) / 1000);
    const line = `${lives} of ${count} lives, ${Math.round(rate)} a second, ${Math.ceil((count - lives) / rate)} s to go`;
    process.stdout.write(isTerminal ? `\r\x1b[K${line}` : `${line}\n`);
  };
  const { lives, sums, bad } = await liveMany({
    first,
    count,
    keepsGoing: process.env["KEEP_GOING"] !== undefined,
    onProgress,
  });
  const seconds = (performance.now() - startedMs) / 1000;
  if (isTerminal) process.stdout.write("\r\x1b[K");
  process.stdout.write(
    `${lives} lives in ${seconds.toFixed(1)} s, ${Math.round(lives / seconds)} a second, ${bad.length} bad\n${table(sums)}`,
  );
  return bad.length === 0 ? 0 : 1;
}

function tell(bad: Bad | undefined): void {
  if (bad === undefined) return;
  process.stdout.write(
    `seed ${bad.seed}: ${bad.broken}\n  to repeat it with its log: make sim LIVES=1 SEED=${bad.seed}\n`,
  );
}

function table(sums: Sums): string {
  const rows = [...sums].sort(([one], [other]) => one.localeCompare(other));
  return rows.map(([name, count]) => `  ${String(count).padStart(12)} ${name}\n`).join("");
}

process.exitCode = await main();
