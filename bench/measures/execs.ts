// B4: execs one after the other. B5: many at once.

import { type Aim, type Figure, Sampling } from "../figure.ts";
import type { BenchShim } from "../bench-shim.ts";
import { type Extent, takeTurns } from "../round.ts";
import type { Side } from "../side.ts";
import type { Stage } from "../stage.ts";

/** A side that needs a minute for fifty execs shall not hold up the bench for an hour. */
const crowdBudgetMs = 60_000;

export async function measureExec(stage: Stage, extent: Extent): Promise<Figure[]> {
  const shims = await stage.idleShims();
  const figure = await timeExecs(stage, extent, shims, {
    id: "B4",
    what: "exec of true, from Start to its exit event",
    aim: { ratio: 0.85 },
    chart: "exec",
  });
  for (const shim of shims.values()) await shim.end();
  return [figure];
}

/** Execs of `true` in the shims' first containers, one after the other. */
export async function timeExecs(
  stage: Stage,
  extent: Extent,
  shims: ReadonlyMap<Side, BenchShim>,
  kind: { id: string; what: string; aim: Aim; chart?: string },
): Promise<Figure> {
  const sampling = new Sampling({ ...kind, unit: "ms" });
  const turns = { name: `${kind.id} exec`, rounds: extent.isQuick ? 9 : 60, warmUps: 2 };
  await takeTurns([...shims.keys()], turns, extent, async (side, counts, round) => {
    const shim = shims.get(side) as BenchShim;
    const execId = `exec-${round + turns.warmUps}-${shim.id}`;
    await shim.addExec(execId, ["/bin/true"]);
    const exit = stage.exitEvent(execId);
    const beganNs = Number(process.hrtime.bigint());
    await shim.call("Start", { execId });
    const endedNs = await exit;
    await shim.call("Delete", { execId });
    if (counts) sampling.add(side.name, (endedNs - beganNs) / 1e6);
  });
  return sampling.figure();
}

export async function measureExecCrowds(stage: Stage, extent: Extent): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const count of extent.isQuick ? [10] : [50, 200]) {
    const sampling = new Sampling({
      id: "B5",
      what: `${count} execs at once, until the last exit event`,
      unit: "ms",
      aim: { ratio: 0.9 },
      ...(count === 200 ? {} : { chart: `${count} execs at once` }),
    });
    const turns = { name: `B5 ${count} at once`, rounds: extent.isQuick ? 2 : 20, budgetMs: crowdBudgetMs };
    const shims = await stage.idleShims();
    await takeTurns(stage.sides, turns, extent, async (side, counts, round) => {
      const shim = shims.get(side) as BenchShim;
      const ids = Array.from({ length: count }, (_, i) => `exec-${round + 1}-${i}-${shim.id}`);
      for (const id of ids) await shim.addExec(id, ["/bin/true"]);
      const exits = ids.map((id) => stage.exitEvent(id));
      const beganNs = Number(process.hrtime.bigint());
      await Promise.all(ids.map((execId) => shim.call("Start", { execId })));
      const endedNs = Math.max(...(await Promise.all(exits)));
      for (const execId of ids) await shim.call("Delete", { execId });
      if (counts) sampling.add(side.name, (endedNs - beganNs) / 1e6);
    });
    for (const shim of shims.values()) await shim.end();
    figures.push(sampling.figure());
  }
  return figures;
}
