// moor doctor's look at what outlived its container: mounts in bundles, runtime processes that never end, events that no
// daemon has taken.

import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import type { Context } from "./context.ts";
import type { Seen } from "./doctor-shims.ts";
import { type Finding, shellWord } from "./finding.ts";
import { standingOf } from "./inspect.ts";
import { mountsIn } from "./mounts.ts";
import { ageSecondsOf, allPids, figuresOf, wordsOf } from "./proc-figures.ts";

/** The runtime's commands as shims call them. */
const runtimeVerbs = new Set(
  "create start run exec kill delete pause resume state ps update checkpoint restore events".split(" "),
);
/** A runtime's call that takes longer has been forgotten, or hangs: each takes a fraction of a second. */
const stuckSeconds = 10;

export async function checkLeftovers(context: Context, seen: Seen): Promise<Finding[]> {
  return [...checkMounts(context, seen), ...checkRuntimeCalls(seen), ...checkEvents(seen)];
}

/** Mounts in the folder of a container of which neither shim nor process is left. */
function checkMounts(context: Context, { containers }: Seen): Finding[] {
  return containers.flatMap(({ container, standing, name }) => {
    if (standing.state !== undefined || standing.status === "orphaned") return [];
    return mountsIn(container.bundle).map((point) => {
      const fix = async (): Promise<void> => {
        const { state, status } = await standingOf(container, context.settings.timeoutMs);
        if (state !== undefined || status === "orphaned") throw new Error("the container has come to life meanwhile");
        const { status: ended, stderr } = spawnSync("umount", [point], { encoding: "utf8" });
        if (ended !== 0) throw new Error(stderr.trim());
      };
      return {
        check: "left-mount",
        grade: "problem" as const,
        subject: name,
        what: `something is mounted at ${point}, and the container is over`,
        meaning: "the bundle cannot be removed, and what is mounted stays in use",
        command: `umount ${shellWord(point)}`,
        ...(standing.exit === undefined && container.owner === "containerd" ? {} : { fix }),
      };
    });
  });
}

/** Children of shims that are the runtime at work, for far too long. */
function checkRuntimeCalls({ containers, shims }: Seen): Finding[] {
  const owners = new Map<number, string>();
  for (const { pid, namespace, id } of shims) owners.set(pid, `${namespace}/${id}`);
  for (const { standing, name } of containers) if (standing.shimPid !== undefined) owners.set(standing.shimPid, name);
  return allPids().flatMap((pid) => {
    const figures = figuresOf(pid);
    const owner = figures === undefined ? undefined : owners.get(figures.parent);
    if (figures === undefined || owner === undefined || figures.state === "Z") return [];
    const words = wordsOf(pid) ?? [];
    const verb = words.find((word) => runtimeVerbs.has(word));
    const seconds = Math.floor(ageSecondsOf(pid));
    if (verb === undefined || !words.includes("--root") || seconds < stuckSeconds) return [];
    return [
      {
        check: "stuck-runtime",
        grade: "problem" as const,
        subject: owner,
        what: `its runtime has been at "${verb}" for ${seconds} seconds (pid ${pid}, state ${figures.state})`,
        meaning: "the request that it serves does not end; state D: it waits for a disk or a network file system",
        command: `kill -9 ${pid}`,
      },
    ];
  });
}

/** Events that a shim keeps in its file because no daemon takes them, and those that a dead one has left. */
function checkEvents({ containers, daemon }: Seen): Finding[] {
  return containers.flatMap(({ container, name }) => {
    if (container.owner !== "containerd") return [];
    return ["events", "events.left"].flatMap((file) => {
      const bytes = statSync(join(container.bundle, file), { throwIfNoEntry: false })?.size ?? 0;
      if (bytes === 0) return [];
      const left = file === "events.left";
      const meaning = daemon.answers
        ? "its clients have not been told of exits and other events, though it is there"
        : "its clients are told once containerd is back";
      return [
        {
          check: "events-wait",
          grade: daemon.answers ? ("problem" as const) : ("note" as const),
          subject: name,
          what: `${bytes} bytes of events wait for containerd${left ? ", left by a shim that is gone" : ""}`,
          meaning,
          command: "systemctl restart containerd",
        },
      ];
    });
  });
}
