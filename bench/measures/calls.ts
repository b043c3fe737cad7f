// B13: calls that ask and change little: time per call.

import { ConnectRequest, KillRequest, PidsRequest, StateRequest, StatsRequest } from "../../src/api/task.ts";
import type { Method } from "../../test/harness/direct-shim.ts";
import type { BenchShim } from "../bench-shim.ts";
import { type Figure, Sampling } from "../figure.ts";
import { type Extent, takeTurns } from "../round.ts";
import type { Side } from "../side.ts";
import type { Stage } from "../stage.ts";
import { median } from "../statistics.ts";

interface Call {
  readonly method: Method;
  readonly what: string;
  /** In one block, one after the other; a sample is the block's median. */
  readonly count: number;
  readonly aim: number;
  readonly request: (id: string) => Uint8Array;
}

const calls: readonly Call[] = [
  {
    method: "State",
    what: "State",
    count: 200,
    aim: 1,
    request: (id) => StateRequest.encode({ id, execId: "" }).finish(),
  },
  { method: "Connect", what: "Connect", count: 200, aim: 1, request: (id) => ConnectRequest.encode({ id }).finish() },
  { method: "Stats", what: "Stats", count: 50, aim: 1, request: (id) => StatsRequest.encode({ id }).finish() },
  { method: "Pids", what: "Pids", count: 10, aim: 0.1, request: (id) => PidsRequest.encode({ id }).finish() },
  {
    method: "Kill",
    what: "Kill with signal 0",
    count: 10,
    aim: 0.1,
    request: (id) => KillRequest.encode({ id, execId: "", signal: 0, all: false }).finish(),
  },
];

export async function measureCalls(stage: Stage, extent: Extent): Promise<Figure[]> {
  const shims = await stage.idleShims();
  const figures = await timeCalls(extent, shims, "B13", "", true);
  for (const shim of shims.values()) await shim.end();
  return figures;
}

/** Each call on the shims' first containers. */
export async function timeCalls(
  extent: Extent,
  shims: ReadonlyMap<Side, BenchShim>,
  id: string,
  where: string,
  charts = false,
  aim?: number,
): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const call of calls) {
    const sampling = new Sampling({
      id,
      what: `${call.what}, per call${where}`,
      unit: "us",
      aim: { ratio: aim ?? call.aim },
      ...(charts ? { chart: call.what } : {}),
    });
    for (const shim of shims.values()) await probe(shim, call.method);
    const turns = { name: `${id} ${call.what}`, rounds: extent.isQuick ? 5 : 24 };
    await takeTurns([...shims.keys()], turns, extent, async (side, counts) => {
      const shim = shims.get(side) as BenchShim;
      const took = await shim.timeCalls(call.method, call.request(shim.id), call.count);
      if (counts) sampling.add(side.name, median(took));
    });
    figures.push(sampling.figure());
  }
  return figures;
}

/** One call whose answer is looked at: what is timed afterwards must not be a refusal. */
async function probe(shim: BenchShim, method: Method): Promise<void> {
  if (method === "Kill") await shim.call("Kill", { signal: 0 });
  else await shim.call(method);
}
