// B14: one shim with many containers, as a group (a pod) makes it: execs, exits and calls again, and what a container
// costs.

import { type Figure, Sampling } from "../figure.ts";
import { memoryOf, untilStill } from "../process-facts.ts";
import type { Extent } from "../round.ts";
import type { Stage } from "../stage.ts";
import { timeCalls } from "./calls.ts";
import { timeExecs } from "./execs.ts";
import { timeExits } from "./exits.ts";

export async function measureGroup(stage: Stage, extent: Extent): Promise<Figure[]> {
  const count = extent.isQuick ? 10 : 200;
  const where = `shim with ${count} containers`;
  const perContainer = new Sampling({
    id: "B14",
    what: `private dirty per container, ${where}`,
    unit: "KB",
    aim: { ratio: 0.3 },
    chart: "memory per further container",
  });
  const shims = await stage.idleShims();
  for (const [side, shim] of shims) {
    await untilStill([shim.pid]);
    const alone = memoryOf(shim.pid).privateDirty;
    for (let i = 1; i < count; i++) {
      extent.tell(`B14 ${side.title}: container ${i + 1} of ${count}`);
      const bundle = await shim.create(shim.addBundle(["/bin/inside", "idle"]));
      await shim.call("Start", { id: bundle.id });
    }
    await untilStill([shim.pid]);
    perContainer.add(side.name, (memoryOf(shim.pid).privateDirty - alone) / (count - 1));
  }
  const exits = { id: "B14", where, ratio: 1, charts: false, inits: false };
  const figures = [
    perContainer.figure(),
    await timeExecs(stage, extent, shims, { id: "B14", what: `exec of true, ${where}`, aim: { ratio: 1 } }),
    ...(await timeExits(stage, extent, shims, exits)),
    ...(await timeCalls(extent, shims, "B14", `, ${where}`, false, 1)),
  ];
  for (const shim of shims.values()) await shim.end();
  return figures;
}
