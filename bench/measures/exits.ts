// B7: how long an exit takes to be known: from the process's own stamp to TaskExit at the daemon's side and to the answer
// to Wait, of inits and of execs, in a shim that is idle otherwise and in one with busy containers.

import type { Waiter } from "../arrivals.ts";
import type { BenchShim } from "../bench-shim.ts";
import { ExitGate } from "../exit-gate.ts";
import { type Figure, type FigureKind, Sampling } from "../figure.ts";
import { type Extent, takeTurns } from "../round.ts";
import type { Side } from "../side.ts";
import type { Stage } from "../stage.ts";

const busyLineEveryMs = 10;

export async function measureExits(stage: Stage, extent: Extent): Promise<Figure[]> {
  const idle = await stage.idleShims();
  const figures = await timeExits(stage, extent, idle, {
    id: "B7",
    where: "idle shim",
    ratio: 0.7,
    charts: true,
    inits: true,
  });
  for (const shim of idle.values()) await shim.end();
  const busyCount = extent.isQuick ? 10 : 50;
  const busy = await stage.idleShims();
  for (const shim of busy.values()) {
    extent.tell(`B7: starting ${busyCount} busy containers, ${shim.side.title}`);
    await fillWithBusy(stage, shim, busyCount);
  }
  const where = `shim with ${busyCount} busy containers`;
  figures.push(...(await timeExits(stage, extent, busy, { id: "B7", where, ratio: 0.7, charts: false, inits: true })));
  for (const shim of busy.values()) await shim.end();
  return figures;
}

/** Containers each of which prints a line every few milliseconds, to a FIFO that is read. */
async function fillWithBusy(stage: Stage, shim: BenchShim, count: number): Promise<void> {
  const bundles = Array.from({ length: count }, () =>
    shim.addBundle(["/bin/inside", "every", String(busyLineEveryMs)]),
  );
  const streams = bundles.map((bundle) => bundle.streams());
  // First: the stock shim creates nothing as long as nobody reads.
  await stage.drainAll(streams.flatMap(({ stdout, stderr }) => [stdout, stderr]));
  for (const [i, bundle] of bundles.entries()) await shim.create(bundle, streams[i]);
  for (const { id } of bundles) await shim.call("Start", { id });
}

export interface ExitFigures {
  readonly id: string;
  readonly where: string;
  /** The aim of each. */
  readonly ratio: number;
  readonly charts: boolean;
  /** Inits too, and not execs alone. */
  readonly inits: boolean;
}

/** Exits one after the other; two figures (median and 99th percentile) for each way to learn of them. */
export async function timeExits(
  stage: Stage,
  extent: Extent,
  shims: ReadonlyMap<Side, BenchShim>,
  { id, where, ratio, charts, inits }: ExitFigures,
): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const of of inits ? (["exec", "init"] as const) : (["exec"] as const)) {
    const kind = (way: string): FigureKind => ({
      id,
      what: `exit of an ${of} to ${way}, ${where}`,
      unit: "us",
      aim: { ratio },
    });
    const toEvent = new Sampling({ ...kind("TaskExit"), ...(charts ? { chart: `exit of an ${of}` } : {}) });
    const toWait = new Sampling(kind("Wait's answer"));
    const waiters = new Map([...shims].map(([side, shim]) => [side, shim.openWaiter()]));
    const turns = { name: `${id} ${of}, ${where}`, rounds: extent.isQuick ? 15 : of === "exec" ? 200 : 100 };
    await takeTurns([...shims.keys()], turns, extent, async (side, counts) => {
      const shim = shims.get(side) as BenchShim;
      const took = await (of === "exec" ? exitOfExec : exitOfInit)(stage, shim, waiters.get(side) as Waiter);
      if (!counts) return;
      toEvent.add(side.name, took.eventUs);
      toWait.add(side.name, took.waitUs);
    });
    for (const waiter of waiters.values()) await waiter.end();
    figures.push(toEvent.figure(), worst(kind("TaskExit"), toEvent));
    figures.push(toWait.figure(), worst(kind("Wait's answer"), toWait));
  }
  return figures;
}

/** The same samples, by their 99th percentile. */
function worst(kind: FigureKind, sampling: Sampling): Figure {
  const { samples } = sampling.figure();
  return { kind: { ...kind, what: `${kind.what}, 99th percentile`, quantile: 0.99 }, samples };
}

interface Known {
  readonly eventUs: number;
  readonly waitUs: number;
}

async function exitOfExec(stage: Stage, shim: BenchShim, waiter: Waiter): Promise<Known> {
  const execId = stage.newId(shim.side);
  const gate = new ExitGate(stage, execId);
  await shim.addExec(execId, gate.args);
  const known = exitKnown(stage, waiter, gate, shim.id, execId);
  await shim.call("Start", { execId });
  await gate.open();
  const took = await known;
  await shim.call("Delete", { execId });
  gate.remove();
  return took;
}

async function exitOfInit(stage: Stage, shim: BenchShim, waiter: Waiter): Promise<Known> {
  const gate = new ExitGate(stage, stage.newId(shim.side));
  const bundle = await shim.create(shim.addBundle(gate.args));
  const known = exitKnown(stage, waiter, gate, bundle.id, "");
  await shim.call("Start", { id: bundle.id });
  await gate.open();
  const took = await known;
  await shim.call("Delete", { id: bundle.id });
  shim.removeContainer(bundle);
  gate.remove();
  return took;
}

async function exitKnown(stage: Stage, waiter: Waiter, gate: ExitGate, id: string, execId: string): Promise<Known> {
  const [eventNs, waitNs] = await Promise.all([stage.exitEvent(execId || id), waiter.wait(id, execId)]);
  const exitedNs = gate.exitedNs();
  return { eventUs: (eventNs - exitedNs) / 1e3, waitUs: (waitNs - exitedNs) / 1e3 };
}
