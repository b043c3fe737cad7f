// What a shim costs as it goes on: fds, memory, zombies.

import { readFileSync } from "node:fs";
import { childrenOf, memoryOf, openFdCount } from "../../test/harness/processes.ts";
import { until } from "../../test/harness/until.ts";
import { type Case, demand, same } from "../case.ts";
import type { Shim } from "../shim.ts";

/** fds that may come and go by themselves, as with a garbage collector. */
const slackFds = 10;

async function runExecs(shim: Shim, count: number): Promise<void> {
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const exec = await shim.exec(["/bin/payload", "pattern", "1000"], { output: "pattern" });
      await exec.out.allPattern(1000);
      await exec.wait();
      await exec.delete();
      exec.forget();
    }
  };
  await Promise.all([worker(), worker()]);
}

export const upkeepCases: readonly Case[] = [
  {
    id: "upkeep.fds",
    title: "fds after execs",
    demand:
      "After 60 execs with streams the shim has as many fds open as before (give or take 10), and no child but init.",
    why: "Health checks run for months.",
    source: "reports containerd#2709, moby#41093",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const pid = await shim.pid();
      await runExecs(shim, 10);
      const before = openFdCount(pid);
      await runExecs(shim, 60);
      await until(
        "the fds to be closed",
        5_000,
        () => openFdCount(pid) <= before + slackFds,
        () => `${openFdCount(pid)} are open, ${before} were before`,
      );
      same("the number of children", childrenOf(pid).length, 1);
    },
  },
  {
    id: "upkeep.memory",
    title: "Memory after execs",
    demand: "After 40 execs for a start, 100 more make the shim's own memory grow by at most 4 MiB.",
    why: "The same.",
    source: "reports containerd#9217, #7878, moby#21737",
    limitMs: 60_000,
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const pid = await shim.pid();
      await runExecs(shim, 40);
      const before = memoryOf(pid).anonymousKb;
      await runExecs(shim, 100);
      const grownKb = memoryOf(pid).anonymousKb - before;
      demand(grownKb <= 4096, `it grew by ${grownKb} kB`);
    },
  },
  {
    id: "upkeep.containers-in-turn",
    title: "Containers in turn in one shim",
    demand:
      "A pod's shim through which 15 containers have gone has as many fds open as after the first (give or take 10).",
    why: "Containers that crash and are started again, for months.",
    source: "report containerd#12344",
    async run(ground) {
      const inPod = ground.pod();
      const first = await ground.run(["/bin/sleep", "1000"], inPod);
      const pid = await first.pid();
      const one = async (): Promise<void> => {
        const member = await first.join(["/bin/sh", "-c", "echo words"], inPod);
        const init = await member.runInit({ output: "text" });
        await init.wait();
        await init.out.allText();
        await member.end();
      };
      await one();
      const before = openFdCount(pid);
      for (let i = 0; i < 14; i++) await one();
      await until(
        "the fds to be closed",
        5_000,
        () => openFdCount(pid) <= before + slackFds,
        () => `${openFdCount(pid)} are open, ${before} were before`,
      );
    },
  },
  {
    id: "upkeep.idle",
    title: "An idle shim does nothing",
    demand: "A shim with a sleeping container uses at most 50 ms of processor time in 2 s.",
    why: "There are hundreds of them on a node.",
    source: "robustness; report containerd#2020",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const pid = await shim.pid();
      const before = cpuMs(pid);
      const end = performance.now() + 2_000;
      await until("two seconds to go by", 3_000, () => performance.now() > end);
      const used = cpuMs(pid) - before;
      demand(used <= 50, `it used ${used} ms`);
    },
  },
];

/** Processor time of a process so far; the kernel counts in hundredths. */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
