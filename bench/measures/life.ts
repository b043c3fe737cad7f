// B3: the life of a container step by step, its own run time taken off. B6: many containers started at once.

import type { BenchShim } from "../bench-shim.ts";
import { type Figure, Sampling } from "../figure.ts";
import { ExitGate } from "../exit-gate.ts";
import { type Extent, takeTurns } from "../round.ts";
import type { Side } from "../side.ts";
import type { Stage } from "../stage.ts";

const steps = ["start", "Create", "Start", "exit until Wait answers", "Delete", "Shutdown", "delete"] as const;
type Steps = Record<(typeof steps)[number], number>;

export async function measureLife(stage: Stage, extent: Extent): Promise<Figure[]> {
  const whole = new Sampling({
    id: "B3",
    what: "life of a container, all steps together",
    unit: "ms",
    aim: { ratio: 0.65 },
    chart: "life of a container",
  });
  const parts = new Map(steps.map((step) => [step, new Sampling({ id: "B3", what: `of it ${step}`, unit: "ms" })]));
  await takeTurns(stage.sides, { name: "B3 life", rounds: extent.isQuick ? 5 : 40 }, extent, async (side, counts) => {
    const took = await liveOnce(stage, side);
    if (!counts) return;
    for (const step of steps) parts.get(step)?.add(side.name, took[step]);
    whole.add(
      side.name,
      steps.reduce((sum, step) => sum + took[step], 0),
    );
  });
  return [whole, ...parts.values()].map((sampling) => sampling.figure());
}

/** Milliseconds of each step. */
async function liveOnce(stage: Stage, side: Side): Promise<Steps> {
  const gate = new ExitGate(stage, stage.newId(side));
  const shim = stage.shim(side, gate.args);
  const start = await shim.start();
  const waiter = shim.openWaiter();
  const timed = async (work: () => Promise<unknown>): Promise<number> => {
    const began = performance.now();
    await work();
    return performance.now() - began;
  };
  const create = await timed(() => shim.call("Create", { bundle: shim.bundle.dir }));
  const waited = waiter.wait(shim.id, "");
  const startTask = await timed(() => shim.call("Start"));
  await gate.open();
  const answeredNs = await waited;
  const took = {
    start,
    Create: create,
    Start: startTask,
    "exit until Wait answers": (answeredNs - gate.exitedNs()) / 1e6,
    Delete: await timed(() => shim.call("Delete")),
    Shutdown: await shim.shutdown(),
    delete: await shim.remove(),
  };
  await waiter.end();
  gate.remove();
  return took;
}

export async function measureCrowd(stage: Stage, extent: Extent): Promise<Figure[]> {
  const count = extent.isQuick ? 10 : 100;
  const sampling = new Sampling({
    id: "B6",
    what: `${count} containers started at once, until all run`,
    unit: "ms",
    aim: { ratio: 0.75 },
    chart: `${count} containers at once`,
  });
  const turns = { name: `B6 ${count} at once`, rounds: extent.isQuick ? 2 : 20 };
  await takeTurns(stage.sides, turns, extent, async (side, counts) => {
    const shims = Array.from({ length: count }, () => stage.shim(side, ["/bin/inside", "idle"]));
    const began = performance.now();
    await Promise.all(shims.map(bringUp));
    if (counts) sampling.add(side.name, performance.now() - began);
    await Promise.all(shims.map((shim) => shim.end()));
  });
  return [sampling.figure()];
}

async function bringUp(shim: BenchShim): Promise<void> {
  await shim.start();
  await shim.run();
}
