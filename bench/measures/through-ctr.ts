// CTR: containers and execs by ctr and containerd, so that the daemon's own cost is in the figures: Moor and the stock
// shim under the containerd that the stock shim belongs to.

import { BenchDaemon } from "../bench-daemon.ts";
import { type Figure, Sampling } from "../figure.ts";
import { type Extent, takeTurns } from "../round.ts";
import type { Side } from "../side.ts";
import type { Stage } from "../stage.ts";

const runtimeOf = (side: Side): string => (side.name === "moor" ? "io.containerd.moor.v2" : "io.containerd.runc.v2");

export async function measureThroughCtr(stage: Stage, extent: Extent): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const [name, bin] of Object.entries(stage.containerdBins)) {
    const sides = stage.sides.filter((side) => side.name === "moor" || side.name === name);
    const title = `containerd ${sides.find((side) => side.name === name)?.title.replace("stock ", "") ?? ""}`;
    const daemon = new BenchDaemon(stage, bin, `containerd-${name}`);
    stage.addDaemon(daemon);
    await daemon.start(sides);
    figures.push(await timeRuns(stage, extent, daemon, sides, title));
    figures.push(await timeCtrExecs(stage, extent, daemon, sides, title));
    await daemon.end();
  }
  return figures;
}

async function timeRuns(
  stage: Stage,
  extent: Extent,
  daemon: BenchDaemon,
  sides: readonly Side[],
  title: string,
): Promise<Figure> {
  const sampling = new Sampling({
    id: "CTR",
    what: `ctr run --rm of true, ${title}`,
    unit: "ms",
    chart: `ctr run, ${title}`,
  });
  const turns = { name: `CTR run, ${title}`, rounds: extent.isQuick ? 4 : 30 };
  await takeTurns(sides, turns, extent, async (side, counts) => {
    const flags = ["--rm", "--runtime", runtimeOf(side), "--rootfs", stage.rootfs];
    const ms = await daemon.ctr("run", ...flags, stage.newId(side), "/bin/true");
    if (counts) sampling.add(side.name, ms);
  });
  return sampling.figure();
}

async function timeCtrExecs(
  stage: Stage,
  extent: Extent,
  daemon: BenchDaemon,
  sides: readonly Side[],
  title: string,
): Promise<Figure> {
  const sampling = new Sampling({
    id: "CTR",
    what: `ctr tasks exec of true, ${title}`,
    unit: "ms",
    chart: `ctr exec, ${title}`,
  });
  const ids = new Map(sides.map((side) => [side, stage.newId(side)]));
  for (const [side, id] of ids) {
    await daemon.ctr("run", "-d", "--runtime", runtimeOf(side), "--rootfs", stage.rootfs, id, "/bin/inside", "idle");
  }
  const turns = { name: `CTR exec, ${title}`, rounds: extent.isQuick ? 4 : 30 };
  await takeTurns(sides, turns, extent, async (side, counts, round) => {
    const id = ids.get(side) as string;
    const ms = await daemon.ctr("tasks", "exec", "--exec-id", `e${round + 1}-${stage.tag}`, id, "/bin/true");
    if (counts) sampling.add(side.name, ms);
  });
  for (const id of ids.values()) {
    await daemon.ctr("tasks", "rm", "--force", id);
    await daemon.ctr("containers", "rm", id);
  }
  return sampling.figure();
}
