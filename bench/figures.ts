// The figures themselves: how each is measured, on both sides in turn.

import { PidsRequest, StateRequest, StatsRequest, KillRequest } from "../src/api/task.ts";
import type { Method } from "../test/harness/direct-shim.ts";
import { until } from "../test/harness/until.ts";
import { type BenchShim, memoryOf } from "./bench-shim.ts";
import { type Figure, Sampling } from "./figure.ts";
import type { Side } from "./side.ts";
import type { Stage } from "./stage.ts";
import { median } from "./statistics.ts";

/** How much is done. */
export interface Extent {
  readonly starts: number;
  readonly lives: number;
  readonly execs: number;
  /** Blocks of calls. */
  readonly blocks: number;
  readonly memoryRounds: number;
}

export const fullExtent: Extent = { starts: 60, lives: 40, execs: 60, blocks: 24, memoryRounds: 5 };
export const quickExtent: Extent = { starts: 7, lives: 5, execs: 7, blocks: 5, memoryRounds: 1 };

export type Progress = (text: string) => void;
type Measure = (stage: Stage, extent: Extent, progress: Progress) => Promise<Figure[]>;

/** By the ids of the table of aims. */
export const measures: Readonly<Record<string, Measure>> = {
  B1: measureStart,
  B3: measureLife,
  B4: measureExec,
  B10: measureMemory,
  B13: measureCalls,
};

const idle = ["/bin/sleep", "1000000"];
/** A shim counts as idle when its memory has stood still for so long. */
const stillMs = 2_500;
const stillWithinMs = 30_000;

async function measureStart(stage: Stage, { starts }: Extent, progress: Progress): Promise<Figure[]> {
  const sampling = new Sampling("B1", "start, until its answer", "ms");
  // The first of each side reads its program from the disk: that is another figure.
  for (let round = -1; round < starts; round++) {
    progress(`B1 start: ${round + 1} of ${starts}`);
    for (const side of stage.turn(round)) {
      const shim = stage.shim(side, ["/bin/true"]);
      const ms = await shim.start();
      if (round >= 0) sampling.add(side.name, ms);
      await shim.shutdown();
      shim.removeBundle();
    }
  }
  return [sampling.figure()];
}

const steps = ["start", "Create", "Start until Wait answers", "Delete", "Shutdown", "delete"] as const;

async function measureLife(stage: Stage, { lives }: Extent, progress: Progress): Promise<Figure[]> {
  const whole = new Sampling("B3", "life of a container that runs true, all steps together", "ms");
  const parts = new Map(steps.map((step) => [step, new Sampling("B3", `of it ${step}`, "ms")]));
  for (let round = -1; round < lives; round++) {
    progress(`B3 life: ${round + 1} of ${lives}`);
    for (const side of stage.turn(round)) {
      const took = await liveOnce(stage, side);
      if (round < 0) continue;
      for (const step of steps) parts.get(step)?.add(side.name, took[step]);
      whole.add(
        side.name,
        steps.reduce((sum, step) => sum + took[step], 0),
      );
    }
  }
  return [whole, ...parts.values()].map((sampling) => sampling.figure());
}

/** Milliseconds of each step. The container's own run time is in it, on both sides. */
async function liveOnce(stage: Stage, side: Side): Promise<Record<(typeof steps)[number], number>> {
  const shim = stage.shim(side, ["/bin/true"]);
  const start = await shim.start();
  const timed = async (work: () => Promise<unknown>): Promise<number> => {
    const began = performance.now();
    await work();
    return performance.now() - began;
  };
  return {
    start,
    Create: await timed(() => shim.call("Create", { bundle: shim.bundle })),
    // Wait is sent before Start, as daemons do.
    "Start until Wait answers": await timed(() => Promise.all([shim.call("Wait"), shim.call("Start")])),
    Delete: await timed(() => shim.call("Delete")),
    Shutdown: await shim.shutdown(),
    delete: await shim.remove(),
  };
}

async function measureExec(stage: Stage, { execs }: Extent, progress: Progress): Promise<Figure[]> {
  const sampling = new Sampling("B4", "exec of true, from Start to its exit event", "ms");
  const shims = new Map<Side, BenchShim>();
  for (const side of stage.sides) shims.set(side, await running(stage, side));
  for (let round = -2; round < execs; round++) {
    progress(`B4 exec: ${Math.max(0, round + 1)} of ${execs}`);
    for (const side of stage.turn(round)) {
      const shim = shims.get(side) as BenchShim;
      const execId = `exec-${round + 2}-${side.name}`;
      await shim.addExec(execId, ["/bin/true"]);
      const exit = stage.exitEvent(execId);
      const began = performance.now();
      await shim.call("Start", { execId });
      const ended = await exit;
      await shim.call("Delete", { execId });
      if (round >= 0) sampling.add(side.name, ended - began);
    }
  }
  for (const shim of shims.values()) await shim.end();
  return [sampling.figure()];
}

async function measureMemory(stage: Stage, { memoryRounds }: Extent, progress: Progress): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const count of [1, 10]) {
    const of = count === 1 ? "of one idle shim" : `of each of ${count} idle shims`;
    const rss = new Sampling("B10", `RSS ${of}`, "KB");
    const pss = new Sampling("B10", `PSS ${of}`, "KB");
    const dirty = new Sampling("B10", `private dirty ${of}`, "KB");
    const rounds = count === 1 ? memoryRounds : 1;
    for (let round = 0; round < rounds; round++) {
      for (const side of stage.turn(round)) {
        progress(`B10 memory: ${count} of ${side.name}, round ${round + 1} of ${rounds}`);
        const shims: BenchShim[] = [];
        for (let i = 0; i < count; i++) shims.push(await running(stage, side));
        await untilStill(shims);
        for (const shim of shims) {
          const memory = memoryOf(shim.pid);
          rss.add(side.name, memory.rss);
          pss.add(side.name, memory.pss);
          dirty.add(side.name, memory.privateDirty);
        }
        for (const shim of shims) await shim.end();
      }
    }
    figures.push(rss.figure(), pss.figure(), dirty.figure());
  }
  return figures;
}

async function measureCalls(stage: Stage, { blocks }: Extent, progress: Progress): Promise<Figure[]> {
  const figures: Figure[] = [];
  const shims = new Map<Side, BenchShim>();
  for (const side of stage.sides) shims.set(side, await running(stage, side));
  const kinds: readonly [Method, string, number, (id: string) => Uint8Array][] = [
    ["State", "State, per call", 200, (id) => StateRequest.encode({ id, execId: "" }).finish()],
    ["Stats", "Stats, per call", 50, (id) => StatsRequest.encode({ id }).finish()],
    ["Pids", "Pids, per call", 10, (id) => PidsRequest.encode({ id }).finish()],
    [
      "Kill",
      "Kill with signal 0, per call",
      10,
      (id) => KillRequest.encode({ id, execId: "", signal: 0, all: false }).finish(),
    ],
  ];
  for (const [method, what, count, request] of kinds) {
    const sampling = new Sampling("B13", what, "us");
    for (const shim of shims.values()) await probe(shim, method);
    for (let round = -1; round < blocks; round++) {
      progress(`B13 ${method}: ${round + 1} of ${blocks}`);
      for (const side of stage.turn(round)) {
        const shim = shims.get(side) as BenchShim;
        const took = await shim.timeCalls(method, request(shim.id), count);
        if (round >= 0) sampling.add(side.name, median(took));
      }
    }
    figures.push(sampling.figure());
  }
  for (const shim of shims.values()) await shim.end();
  return figures;
}

/** One call whose answer is looked at: what is timed afterwards must not be a refusal. */
async function probe(shim: BenchShim, method: Method): Promise<void> {
  if (method === "Kill") await shim.call("Kill", { signal: 0 });
  else await shim.call(method);
}

async function running(stage: Stage, side: Side): Promise<BenchShim> {
  const shim = stage.shim(side, idle);
  await shim.start();
  await shim.run();
  return shim;
}

async function untilStill(shims: readonly BenchShim[]): Promise<void> {
  let last = "";
  let since = performance.now();
  await until("the shims' memory to stand still", stillWithinMs, () => {
    const now = shims.map(({ pid }) => memoryOf(pid).rss).join(" ");
    if (now !== last) since = performance.now();
    last = now;
    return performance.now() - since > stillMs;
  });
}
