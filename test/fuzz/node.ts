// Fuzzing under Node: node build/js/test/fuzz/node.js [--runs N] [--seed S] [--target NAME] [--first N] [FILE...]
// With files, each is one input of the target named. A finding's input is written to build/fuzz/TARGET-NUMBER.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { repositoryDir } from "../harness/repository.ts";
import { Failure, type Figures, type Plan, runInput, runPlan, type Surroundings } from "./run.ts";
import type { Target } from "./target.ts";
import { allTargets } from "./targets.ts";

export const onNode: Surroundings = {
  nowMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
  mostMs: 2_000,
  encodeUtf8: (text) => new TextEncoder().encode(text),
  nextTurn: () => new Promise((resolve) => setImmediate(resolve)),
};

/** The target's inputs in the repository, in the order of their names. */
export function corpusOf(target: Target): Uint8Array[] {
  const folder = join(repositoryDir(), "test/fuzz/corpus", target.name);
  return readdirSync(folder)
    .sort()
    .map((name) => new Uint8Array(readFileSync(join(folder, name))));
}

/** Runs a plan; the input of a finding is kept. @throws Failure */
export async function runKept(plan: Plan): Promise<Figures> {
  try {
    return await runPlan(plan, onNode);
  } catch (thrown) {
    if (thrown instanceof Failure) {
      const folder = join(repositoryDir(), "build/fuzz");
      mkdirSync(folder, { recursive: true });
      const file = join(folder, `${plan.target.name}-${thrown.input.length}`);
      writeFileSync(file, thrown.input);
      thrown.message += `\nthe input is in ${file}`;
    }
    throw thrown;
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      runs: { type: "string", default: "100000" },
      seed: { type: "string", default: "1" },
      first: { type: "string", default: "0" },
      target: { type: "string" },
    },
  });
  const chosen = allTargets().filter(({ name }) => values.target === undefined || name === values.target);
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  if (positionals.length > 0) {
    for (const target of chosen) {
      for (const file of positionals) {
        print(`${target.name} ${file}: ${await runInput(target, new Uint8Array(readFileSync(file)))}`);
      }
    }
    return;
  }
  const count = Math.ceil(Number(values.runs) / chosen.length);
  for (const target of chosen) {
    const beganMs = performance.now();
    const plan = { target, corpus: corpusOf(target), seed: Number(values.seed), first: Number(values.first), count };
    const { inputs, taken, bytes, slowestMs, digest } = await runKept(plan);
    const seconds = ((performance.now() - beganMs) / 1000).toFixed(1);
    print(
      `${target.comparable ? "comparable " : ""}${target.name}: ${inputs} inputs, ${taken} taken, ${bytes} bytes, ${seconds} s, ` +
        `slowest ${slowestMs.toFixed(1)} ms, digest ${digest}`,
    );
  }
}

if (process.argv[1]?.endsWith("/fuzz/node.js") === true) await main();
