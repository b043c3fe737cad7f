// `moor top ID`: the processes of a container, with what each one does now. The shim tells which they are, /proc the rest.

import { CliError, textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import { requireShim } from "./inspect.ts";
import { findContainer } from "./inventory.ts";
import { type LiveFlags, showLive } from "./live.ts";
import { figuresOf, residentOf, startedAt, userOf, wordsOf } from "./proc-figures.ts";
import { execIdOf } from "./processes.ts";
import type { ShimClient } from "./shim-client.ts";
import type { Column } from "./table.ts";
import { ago, bytesText, percentText } from "./units.ts";

/** One process. The keys are those of the JSON output: a stable interface. */
export interface TopRow {
  /** As the host counts. */
  readonly pid: number;
  readonly parent: number;
  /** The exec that it was started as; "init", or null for what those have started. */
  readonly exec: string | null;
  readonly user: number;
  /** The kernel's letter: R runs, S and I sleep, D waits for a device, T is stopped, Z has ended and is not reaped. */
  readonly state: string;
  readonly threads: number;
  /** Of one processor, since the reading before. */
  readonly cpuPercent: number;
  /** Bytes in memory. */
  readonly memory: number;
  readonly since: string | null;
  readonly command: string;
}

interface Before {
  readonly atMs: number;
  readonly cpuSeconds: number;
  readonly startTicks: number;
}

/** @throws CliError when it does not run, or has no shim. */
export async function topCommand(context: Context, word: string, flags: LiveFlags): Promise<number> {
  const { settings } = context;
  const container = findContainer(word, settings);
  const client = await requireShim(container, settings.timeoutMs);
  const before = new Map<number, Before>();
  let asked = false;
  const read = async (): Promise<TopRow[] | undefined> => {
    try {
      const rows = await rowsOf(client, container.id, before);
      asked = true;
      return rows;
    } catch (thrown) {
      // It ran when we began: that it has ended is the end of the list.
      if (asked) return undefined;
      throw new CliError(`the processes of ${container.id}: ${textOf(thrown)}`, "failure", thrown);
    }
  };
  try {
    return await showLive(flags, read, columns);
  } finally {
    client.close();
  }
}

async function rowsOf(client: ShimClient, id: string, before: Map<number, Before>): Promise<TopRow[]> {
  const [processes, { pid: init }] = await Promise.all([client.pids(id), client.state(id)]);
  const nowMs = performance.now();
  const rows: TopRow[] = [];
  for (const process of processes) {
    const figures = figuresOf(process.pid);
    // It ended between the shim's answer and now.
    if (figures === undefined) continue;
    const last = before.get(process.pid);
    const isSame = last?.startTicks === figures.startTicks;
    const spent = isSame ? (figures.cpuSeconds - last.cpuSeconds) / ((nowMs - last.atMs) / 1000) : 0;
    before.set(process.pid, { atMs: nowMs, cpuSeconds: figures.cpuSeconds, startTicks: figures.startTicks });
    const words = wordsOf(process.pid) ?? [];
    rows.push({
      pid: process.pid,
      parent: figures.parent,
      exec: execIdOf(process) || (process.pid === init ? "init" : null),
      user: userOf(process.pid) ?? -1,
      state: figures.state,
      threads: figures.threads,
      cpuPercent: Math.round(spent * 1000) / 10,
      memory: residentOf(process.pid) ?? 0,
      since: startedAt(process.pid) ?? null,
      command: words.length > 0 ? words.join(" ") : `[${figures.name}]`,
    });
  }
  return rows.sort((a, b) => a.pid - b.pid);
}

const columns: Column<TopRow>[] = [
  { title: "PID", cell: (row) => String(row.pid), right: true },
  { title: "PARENT", cell: (row) => String(row.parent), right: true },
  { title: "EXEC", cell: (row) => row.exec ?? "" },
  { title: "USER", cell: (row) => String(row.user), right: true },
  { title: "S", cell: (row) => row.state },
  { title: "THREADS", cell: (row) => String(row.threads), right: true },
  { title: "CPU", cell: (row) => percentText(row.cpuPercent), right: true },
  { title: "MEMORY", cell: (row) => bytesText(row.memory), right: true },
  { title: "SINCE", cell: (row) => (row.since === null ? "" : ago(row.since, Date.now())), right: true },
  { title: "COMMAND", cell: (row) => row.command },
];
