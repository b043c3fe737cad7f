// B10: memory of idle shims, few and many. B11: of a shim that has done a lot.

import type { BenchShim } from "../bench-shim.ts";
import { ConmonContainer } from "../conmon.ts";
import { type Aim, type Figure, type FigureKind, Sampling } from "../figure.ts";
import { MemoryGroup } from "../memory-group.ts";
import { memoryOf, untilStill } from "../process-facts.ts";
import { type Extent, takeTurns } from "../round.ts";
import type { ColumnName, Side } from "../side.ts";
import type { Stage } from "../stage.ts";
import { runOk } from "../../test/harness/command.ts";
import { writeOnce } from "./output.ts";

const parts = ["rss", "pss", "privateDirty", "charge"] as const;
type Part = (typeof parts)[number];
const partTitles: Record<Part, string> = {
  rss: "RSS",
  pss: "PSS",
  privateDirty: "private dirty",
  charge: "memory cgroup's charge",
};

function aimOf(part: Part, count: number): Aim | undefined {
  const conmon = part === "rss" || part === "pss" ? ({ conmon: true } as const) : undefined;
  if (part === "pss" && count === 1) return { ratio: 0.2, conmon: true };
  if (part === "pss" && count === 50) return { ratio: 0.45, conmon: true };
  if (part === "privateDirty" && count === 50) return { ratio: 0.4 };
  return conmon;
}

export async function measureMemory(stage: Stage, extent: Extent): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const count of extent.isQuick ? [1, 10] : [1, 10, 50, 200]) {
    const samplings = new Map(parts.map((part) => [part, new Sampling(kindOf(part, count))]));
    const take = (column: ColumnName, pids: readonly number[], chargeKb: number | undefined): void => {
      for (const pid of pids) {
        const memory = memoryOf(pid);
        for (const part of ["rss", "pss", "privateDirty"] as const) samplings.get(part)?.add(column, memory[part]);
      }
      if (chargeKb !== undefined) samplings.get("charge")?.add(column, chargeKb / count);
    };
    const turns = { name: `B10 ${count} idle`, rounds: count === 1 && !extent.isQuick ? 5 : 1, warmUps: 0 };
    await takeTurns(stage.sides, turns, extent, (side) => holdShims(stage, side, count, take));
    for (let round = 0; round < turns.rounds && stage.conmon !== undefined; round++) {
      extent.tell(`B10 ${count} idle: conmon`);
      await holdConmons(stage, stage.conmon, count, take);
    }
    figures.push(...[...samplings.values()].map((sampling) => sampling.figure()));
  }
  // Not every machine has memory cgroups.
  return figures.filter(({ samples }) => samples.moor !== undefined);
}

function kindOf(part: Part, count: number): FigureKind {
  const aim = aimOf(part, count);
  const of = count === 1 ? "of one idle shim" : `of each of ${count} idle shims`;
  return {
    id: "B10",
    what: `${partTitles[part]} ${of}`,
    unit: "KB",
    ...(aim === undefined ? {} : { aim }),
    ...(part === "pss" ? { chart: `memory (PSS) ${of}` } : {}),
  };
}

type Take = (column: ColumnName, pids: readonly number[], chargeKb: number | undefined) => void;

async function holdShims(stage: Stage, side: Side, count: number, take: Take): Promise<void> {
  const group = MemoryGroup.make(`${stage.namespace}-${side.name}`);
  // So that the program's own pages are charged to who runs it, and not to the bench that has copied it.
  await runOk([stage.programs.stopwatch, "evict", side.program]);
  const shims: BenchShim[] = [];
  for (let i = 0; i < count; i++) {
    const shim = stage.shim(side, ["/bin/inside", "idle"]);
    shims.push(shim);
    await shim.start(group === undefined ? {} : { cgroupProcs: group.procs });
    await shim.run();
  }
  const pids = shims.map(({ pid }) => pid);
  await untilStill(pids);
  take(side.name, pids, group?.chargeKb());
  for (const shim of shims) await shim.end();
  group?.remove();
}

async function holdConmons(stage: Stage, program: string, count: number, take: Take): Promise<void> {
  const group = MemoryGroup.make(`${stage.namespace}-conmon`);
  const containers: ConmonContainer[] = [];
  for (let i = 0; i < count; i++) {
    const container = new ConmonContainer(stage, program, `conmon-${count}-${i}-${stage.tag}`);
    containers.push(container);
    await container.start(group?.procs);
  }
  const pids = containers.map(({ pid }) => pid);
  await untilStill(pids);
  take("conmon", pids, group?.chargeKb());
  for (const container of containers) await container.end();
  group?.remove();
}

/** Both numbers of execs, and what the heap is like after the second beside the first. */
export async function measureWornMemory(stage: Stage, extent: Extent): Promise<Figure[]> {
  const counts = extent.isQuick ? [25, 100] : [1_000, 10_000];
  const [few, many] = counts.map(
    (count) =>
      new Sampling({
        id: "B11",
        what: `private dirty after ${count} execs`,
        unit: "KB",
        aim: { ratio: 0.25 },
        ...(count === counts[1] ? { chart: `memory (private) after ${count} execs` } : {}),
      }),
  ) as [Sampling, Sampling];
  const growth = new Sampling({
    id: "B11",
    what: `the same, after ${counts[1]} / after ${counts[0]}`,
    unit: "",
    aim: { value: 1.05 },
  });
  for (const side of stage.sides) {
    const shim = await stage.idleShim(side);
    const privates: number[] = [];
    let done = 0;
    for (const [count, sampling] of [
      [counts[0] as number, few],
      [counts[1] as number, many],
    ] as const) {
      for (; done < count; done++) {
        if (done % 50 === 0) extent.tell(`B11 ${side.title}: exec ${done} of ${counts[1]}`);
        await execOnce(stage, shim, `exec-${done}-${shim.id}`);
      }
      await untilStill([shim.pid]);
      const { privateDirty } = memoryOf(shim.pid);
      privates.push(privateDirty);
      sampling.add(side.name, privateDirty);
    }
    growth.add(side.name, (privates[1] as number) / (privates[0] as number));
    await shim.end();
  }
  return [few.figure(), many.figure(), growth.figure(), await measureAfterOutput(stage, extent)];
}

async function execOnce(stage: Stage, shim: BenchShim, execId: string): Promise<void> {
  await shim.addExec(execId, ["/bin/inside", "write", "0"]);
  const exit = stage.exitEvent(execId);
  await shim.call("Start", { execId });
  await exit;
  await shim.call("Delete", { execId });
}

async function measureAfterOutput(stage: Stage, extent: Extent): Promise<Figure> {
  const gibibytes = extent.isQuick ? 1 : 10;
  const sampling = new Sampling({
    id: "B11",
    what: `private dirty after ${gibibytes} GiB of output`,
    unit: "KB",
    aim: { ratio: 0.25 },
  });
  for (const side of stage.sides) {
    extent.tell(`B11 ${side.title}: ${gibibytes} GiB of output`);
    const shim = await stage.idleShim(side);
    await writeOnce(stage, shim, `out-${shim.id}`, gibibytes * 2 ** 30, false);
    await untilStill([shim.pid]);
    sampling.add(side.name, memoryOf(shim.pid).privateDirty);
    await shim.end();
  }
  return sampling.figure();
}
