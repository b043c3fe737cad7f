// No change shall make Moor much worse beside the stock shim, unseen: a few ratios, each held against the last one that
// was committed in bench/guard.json. Ratios alone, as a time says nothing on another machine; of times the shortest that
// was seen, or processor time, as the machine may be busy with other things; and what is too high once is measured again.
//
// MOOR_BENCH_GUARD=write writes what was measured into bench/guard.json.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { StateRequest } from "../src/api/task.ts";
import type { BenchShim } from "../bench/bench-shim.ts";
import { stockAndMoor } from "../bench/cast.ts";
import { writeOnce } from "../bench/measures/output.ts";
import { cpuTimeOf, memoryOf, untilStill } from "../bench/process-facts.ts";
import { takeTurns } from "../bench/round.ts";
import type { Side, SideName } from "../bench/side.ts";
import { Stage } from "../bench/stage.ts";
import { repositoryDir } from "./harness/repository.ts";

/** So much worse than the committed ratio is a change for the worse. */
const allowedFactor = 1.5;
const attempts = 3;
const outputBytes = 2 ** 28;

const guardFile = join(repositoryDir(), "bench/guard.json");
const extent = { isQuick: true, tell: () => undefined };

type Shims = ReadonlyMap<Side, BenchShim>;
/** One sample of a side. */
type Measure = (stage: Stage, shim: BenchShim, round: number) => Promise<number>;

interface Guarded {
  readonly rounds: number;
  readonly measure: Measure;
}

const guarded: Readonly<Record<string, Guarded>> = {
  "start, wall time": { rounds: 12, measure: timeStart },
  "exec, processor time of the shim": { rounds: 6, measure: timeExecs },
  "State, wall time": { rounds: 6, measure: timeState },
  "idle shim, private memory": { rounds: 1, measure: weigh },
  "output through pipes, processor time of the shim": { rounds: 4, measure: timeOutput },
};

async function timeStart(stage: Stage, { side }: BenchShim): Promise<number> {
  const shim = stage.shim(side, ["/bin/true"]);
  const ms = await shim.start();
  await shim.shutdown();
  shim.removeBundle();
  return ms;
}

async function timeExecs(stage: Stage, shim: BenchShim): Promise<number> {
  const before = cpuTimeOf(shim.pid);
  for (let i = 0; i < 5; i++) {
    const execId = stage.newId(shim.side);
    await shim.addExec(execId, ["/bin/true"]);
    const exit = stage.exitEvent(execId);
    await shim.call("Start", { execId });
    await exit;
    await shim.call("Delete", { execId });
  }
  return cpuTimeOf(shim.pid) - before;
}

async function timeState(_stage: Stage, shim: BenchShim): Promise<number> {
  const took = await shim.timeCalls("State", StateRequest.encode({ id: shim.id, execId: "" }).finish(), 300);
  return Math.min(...took);
}

async function weigh(stage: Stage, { side }: BenchShim): Promise<number> {
  const shim = await stage.idleShim(side);
  await untilStill([shim.pid]);
  const { privateDirty } = memoryOf(shim.pid);
  await shim.end();
  return privateDirty;
}

async function timeOutput(stage: Stage, shim: BenchShim): Promise<number> {
  const { bytes, cpuSeconds } = await writeOnce(stage, shim, stage.newId(shim.side), outputBytes, false);
  return cpuSeconds / bytes;
}

/** Moor's best in parts of the stock shim's best. */
async function ratioOf(stage: Stage, shims: Shims, { rounds, measure }: Guarded): Promise<number> {
  const best: Record<SideName, number> = { moor: Infinity, older: Infinity, newer: Infinity };
  await takeTurns([...shims.keys()], { name: "guard", rounds }, extent, async (side, counts, round) => {
    const value = await measure(stage, shims.get(side) as BenchShim, round);
    if (counts) best[side.name] = Math.min(best[side.name], value);
  });
  return best.moor / best.older;
}

test("bench guard: no ratio to the stock shim is much worse than the last one committed", async (t) => {
  const committed = JSON.parse(readFileSync(guardFile, "utf8")) as Record<string, number>;
  const measured: Record<string, number> = {};
  const stage = new Stage();
  try {
    await stage.open(stockAndMoor());
    const shims = await stage.idleShims();
    for (const [name, what] of Object.entries(guarded)) {
      const last = committed[name] ?? 0;
      let ratio = await ratioOf(stage, shims, what);
      for (let again = 1; again < attempts && ratio > last * allowedFactor; again++) {
        t.diagnostic(`${name}: ${ratio.toFixed(3)}, measured again`);
        ratio = Math.min(ratio, await ratioOf(stage, shims, what));
      }
      t.diagnostic(`${name}: Moor / stock is ${ratio.toFixed(3)}; committed: ${last}`);
      measured[name] = ratio;
    }
    for (const shim of shims.values()) await shim.end();
  } finally {
    assert.deepEqual(await stage.close(), [], "nothing is left");
  }
  if (process.env["MOOR_BENCH_GUARD"] === "write") {
    const entries = Object.entries(measured).map(([name, ratio]) => [name, Number(ratio.toFixed(3))]);
    writeFileSync(guardFile, `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`);
    return;
  }
  for (const [name, ratio] of Object.entries(measured)) {
    const limit = (committed[name] ?? 0) * allowedFactor;
    assert.ok(ratio <= limit, `${name}: Moor / stock is ${ratio.toFixed(3)}, more than ${limit.toFixed(3)}`);
  }
});
