// B8 and B9: output from a container through the shim to the reader of its FIFO: how fast, and what processor time the
// shim needs for it; through pipes and through a terminal.

import { closeSync, constants, openSync } from "node:fs";
import { run } from "../../test/harness/command.ts";
import type { BenchShim } from "../bench-shim.ts";
import { type Figure, Sampling } from "../figure.ts";
import { type Extent, takeTurns } from "../round.ts";
import type { Stage } from "../stage.ts";

const gibibyte = 2 ** 30;
const drainWithinMs = 120_000;

export async function measurePipes(stage: Stage, extent: Extent): Promise<Figure[]> {
  return await measureOutput(stage, extent, {
    id: "B8",
    what: "output through pipes",
    terminal: false,
    bytes: extent.isQuick ? gibibyte / 2 : 2 * gibibyte,
    aims: { rate: 2, cpu: 0.3 },
    chart: "output through pipes",
  });
}

export async function measureTerminal(stage: Stage, extent: Extent): Promise<Figure[]> {
  return await measureOutput(stage, extent, {
    id: "B9",
    what: "output through a terminal",
    terminal: true,
    bytes: extent.isQuick ? gibibyte / 64 : gibibyte / 16,
    aims: { rate: 1, cpu: 0.5 },
    chart: "output through a terminal",
  });
}

interface Kind {
  readonly id: string;
  readonly what: string;
  readonly terminal: boolean;
  readonly bytes: number;
  readonly aims: { readonly rate: number; readonly cpu: number };
  readonly chart: string;
}

async function measureOutput(stage: Stage, extent: Extent, kind: Kind): Promise<Figure[]> {
  const { id, what, aims, terminal, bytes } = kind;
  const rate = new Sampling({ id, what, unit: "GiB/s", aim: { ratio: aims.rate }, isRate: true, chart: kind.chart });
  const cpu = new Sampling({
    id,
    what: `${what}: the shim's processor time`,
    unit: "s/GiB",
    aim: { ratio: aims.cpu },
    chart: `${kind.chart}: processor time`,
  });
  const shims = await stage.idleShims();
  const turns = { name: `${id} ${what}`, rounds: extent.isQuick ? 4 : 20 };
  await takeTurns(stage.sides, turns, extent, async (side, counts, round) => {
    const shim = shims.get(side) as BenchShim;
    const seen = await writeOnce(stage, shim, `out-${round + 1}-${shim.id}`, bytes, terminal);
    if (!counts) return;
    rate.add(side.name, seen.bytes / gibibyte / seen.seconds);
    cpu.add(side.name, seen.cpuSeconds / (seen.bytes / gibibyte));
  });
  for (const shim of shims.values()) await shim.end();
  return [rate.figure(), cpu.figure()];
}

/** An exec that writes so much, and what its reader saw. */
export async function writeOnce(
  stage: Stage,
  shim: BenchShim,
  execId: string,
  bytes: number,
  terminal: boolean,
): Promise<{ bytes: number; seconds: number; cpuSeconds: number }> {
  const streams = shim.bundle.streams(execId, terminal);
  const { stdout, stderr } = streams;
  // Nothing comes there; the stock shim wants a reader.
  const stderrFd = stderr === "" ? undefined : openSync(stderr, constants.O_RDWR);
  const drained = run([stage.programs.drain, stdout, String(shim.pid)], { deadlineMs: drainWithinMs });
  await shim.addExec(execId, ["/bin/inside", "write", String(bytes)], streams);
  const exit = stage.exitEvent(execId);
  await shim.call("Start", { execId });
  await exit;
  const { status, stdout: text, stderr: fault } = await drained;
  await shim.call("Delete", { execId });
  if (stderrFd !== undefined) closeSync(stderrFd);
  const [count, ns, cpuNs] = text.split(" ").map(Number);
  if (status !== 0 || count === undefined || ns === undefined || cpuNs === undefined) {
    throw new Error(`the reader of ${stdout} failed: ${fault}`);
  }
  return { bytes: count, seconds: ns / 1e9, cpuSeconds: cpuNs / 1e9 };
}
