// B1 and B2: the action `start`, from the call to its answer, warm and cold.

import { join } from "node:path";
import { rmSync } from "node:fs";
import { runOk } from "../../test/harness/command.ts";
import { type Figure, Sampling } from "../figure.ts";
import { type Extent, takeTurns } from "../round.ts";
import { copyProgram } from "../side.ts";
import type { Stage } from "../stage.ts";

export async function measureStart(stage: Stage, extent: Extent): Promise<Figure[]> {
  const sampling = new Sampling({
    id: "B1",
    what: "start, until its answer",
    unit: "ms",
    aim: { ratio: 0.45 },
    chart: "start",
  });
  const turns = { name: "B1 start", rounds: extent.isQuick ? 9 : 60 };
  await takeTurns(stage.sides, turns, extent, async (side, counts) => {
    const shim = stage.shim(side, ["/bin/true"]);
    const ms = await shim.start();
    if (counts) sampling.add(side.name, ms);
    await shim.shutdown();
    shim.removeBundle();
  });
  return [sampling.figure()];
}

/** Each sample is the first start of a fresh copy of the program, of which nothing is in memory. */
export async function measureColdStart(stage: Stage, extent: Extent): Promise<Figure[]> {
  const sampling = new Sampling({
    id: "B2",
    what: "start, program not in memory",
    unit: "ms",
    aim: { ratio: 0.5 },
    chart: "cold start",
  });
  const turns = { name: "B2 cold start", rounds: extent.isQuick ? 5 : 30 };
  await takeTurns(stage.sides, turns, extent, async (side, counts, round) => {
    const folder = join(stage.dir, `cold-${round}-${side.name}`);
    const program = copyProgram(side.program, folder);
    const shim = stage.shim({ ...side, program }, ["/bin/true"]);
    await runOk([stage.programs.stopwatch, "evict", program]);
    const ms = await shim.start();
    if (counts) sampling.add(side.name, ms);
    await shim.shutdown();
    shim.removeBundle();
    rmSync(folder, { recursive: true });
  });
  return [sampling.figure()];
}
