// Plants the faults of mutants.ts one by one in a private copy of the compiled tree (build/mutant) and looks who finds each:
// the simulated lives, and only if they do not, the unit tests. Prints a table; ends with 1 when one was not found.

import { execFile, execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { transformSync } from "esbuild";
import { type Mutant, mutants } from "./mutants.ts";

/** Lives until a fault is given up on. */
const { LIVES: lives = "20000" } = process.env;
const tree = "build/mutant";

interface Finding {
  readonly by: string;
  readonly seconds: number;
}

async function main(): Promise<number> {
  const [part = ""] = process.argv.slice(2);
  const chosen = mutants.filter(({ area, name }) => `${area}: ${name}`.includes(part));
  copyTree();
  const before = await searchTests();
  if (before !== undefined) {
    process.stderr.write(`without any fault, ${before.by} fails\n`);
    return 2;
  }
  let missed = 0;
  process.stdout.write("| area | fault | found by | after |\n|---|---|---|---|\n");
  for (const mutant of chosen) {
    plant(mutant);
    const finding = (await searchLives()) ?? (await searchTests());
    if (finding === undefined) missed++;
    const { by, seconds } = finding ?? { by: "**nobody**", seconds: 0 };
    process.stdout.write(`| ${mutant.area} | ${mutant.name} | ${by} | ${seconds.toFixed(0)} s |\n`);
  }
  rmSync(tree, { recursive: true, force: true });
  process.stdout.write(`\n${chosen.length} faults, ${missed} not found\n`);
  return missed === 0 ? 0 : 1;
}

function copyTree(): void {
  rmSync(tree, { recursive: true, force: true });
  execFileSync("mkdir", ["-p", tree]);
  execFileSync("cp", ["-al", "build/js/src", "build/js/sim", "build/js/test", tree]);
}

function plant({ file, edits }: Mutant): void {
  copyTree();
  let text = readFileSync(file, "utf8");
  for (const [old, fresh] of edits) {
    if (text.split(old).length !== 2) throw new Error(`${file} has not exactly one of\n${old}`);
    text = text.replace(old, () => fresh);
  }
  const { code } = transformSync(text, { loader: "ts", target: "es2022" });
  const compiled = `${tree}/${file.replace(/\.ts$/, ".js")}`;
  // The copy is made of links.
  rmSync(compiled);
  writeFileSync(compiled, code.replace(/(from |import\()"(\.[^"]*)\.ts"/g, '$1"$2.js"'));
}

async function searchLives(): Promise<Finding | undefined> {
  const { isGood, said, seconds } = await run([`${tree}/sim/run.js`, lives]);
  if (isGood) return undefined;
  const [, seed, broken = ""] = /^seed (\d+): (.*)$/m.exec(said) ?? [];
  return { by: seed === undefined ? `lives: ${firstError(said)}` : `seed ${seed}: ${shortened(broken)}`, seconds };
}

async function searchTests(): Promise<Finding | undefined> {
  const names = readdirSync(`${tree}/src`, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".test.js"),
  );
  const { isGood, said, seconds } = await run(["--test", ...names.map((name) => `${tree}/src/${name}`)]);
  if (isGood) return undefined;
  const [, name = ""] = /^\s*not ok \d+ - (.*)$/m.exec(said) ?? [];
  return { by: `test "${shortened(name)}"`, seconds };
}

function run(args: readonly string[]): Promise<{ isGood: boolean; said: string; seconds: number }> {
  const startedMs = performance.now();
  return new Promise((resolve) => {
    execFile(process.execPath, args, { maxBuffer: 1 << 28 }, (error, stdout, stderr) => {
      const seconds = (performance.now() - startedMs) / 1000;
      resolve({ isGood: error === null, said: stdout + stderr, seconds });
    });
  });
}

function firstError(said: string): string {
  return shortened(/^(?:\w*Error): (.*)$/m.exec(said)?.[1] ?? "they end early");
}

function shortened(text: string): string {
  const plain = text.replace(/\s+/g, " ").replaceAll("|", "/");
  return plain.length > 110 ? `${plain.slice(0, 107)}...` : plain;
}

process.exitCode = await main();
