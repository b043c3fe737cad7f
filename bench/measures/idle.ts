// B12: what idle shims do: processor time and turns on a processor, threads and open descriptors.

import { until } from "../../test/harness/until.ts";
import { type Figure, Sampling } from "../figure.ts";
import { type Activity, activityOf, untilStill } from "../process-facts.ts";
import type { Extent } from "../round.ts";
import type { Stage } from "../stage.ts";

export async function measureIdle(stage: Stage, extent: Extent): Promise<Figure[]> {
  const count = extent.isQuick ? 10 : 50;
  const seconds = extent.isQuick ? 10 : 60;
  const of = `an idle shim in ${seconds} s (one of ${count})`;
  const cpu = new Sampling({ id: "B12", what: `processor time of ${of}`, unit: "us", aim: { value: 0 } });
  const switches = new Sampling({ id: "B12", what: `wake-ups of ${of}`, unit: "", aim: { value: 0 } });
  const threads = new Sampling({ id: "B12", what: "threads of an idle shim", unit: "", aim: { value: 1 } });
  const fds = new Sampling({ id: "B12", what: "open descriptors of an idle shim", unit: "", aim: { ratio: 0.7 } });
  const shims = [];
  for (let i = 0; i < count; i++) {
    extent.tell(`B12: starting idle shims: ${i} of ${count}`);
    for (const side of stage.sides) shims.push(await stage.idleShim(side));
  }
  await untilStill(shims.map(({ pid }) => pid));
  const before = shims.map(({ pid }) => activityOf(pid));
  const began = performance.now();
  await until("the measured time to be over", 2 * seconds * 1e3, () => {
    const second = Math.floor((performance.now() - began) / 1e3);
    extent.tell(`B12 idle: ${second} of ${seconds} s`);
    return second >= seconds;
  });
  for (const [i, shim] of shims.entries()) {
    const after = activityOf(shim.pid);
    const first = before[i] as Activity;
    cpu.add(shim.side.name, (after.cpuNs - first.cpuNs) / 1e3);
    switches.add(shim.side.name, after.switches - first.switches);
    threads.add(shim.side.name, after.threads);
    fds.add(shim.side.name, after.fds);
  }
  for (const shim of shims) await shim.end();
  return [cpu, switches, threads, fds].map((sampling) => sampling.figure());
}
