// As many lives as fit in some twenty seconds. They run in processes of their own: the test runner's hooks on promises
// make them several times slower, and two are done sooner than one.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const { MOOR_SIM_LIVES: wanted = "20000", MOOR_SIM_FIRST: first = "1" } = process.env;
const processes = 2;

/** @returns how the process ended, and what it said. */
function lives(firstSeed: number, count: number): Promise<readonly [status: number | null, said: string]> {
  const run = fileURLToPath(new URL("./run.js", import.meta.url));
  const args = ["--enable-source-maps", run, String(firstSeed), String(count)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const output of [child.stdout, child.stderr])
    output.setEncoding("utf8").on("data", (text: string) => (said += text));
  return new Promise((resolve) => child.on("close", (status) => resolve([status, said])));
}

test(`${wanted} simulated lives from seed ${first} on show no bug`, async (context) => {
  const each = Math.ceil(Number(wanted) / processes);
  const runs = Array.from({ length: processes }, (_, i) => lives(Number(first) + i * each, each));
  for (const [status, said] of await Promise.all(runs)) {
    assert.equal(status, 0, said);
    context.diagnostic(said.trim());
  }
});
