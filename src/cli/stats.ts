// `moor stats [ID...]`: what containers use of processor, memory, disk and network. Their shims read the cgroups, so that
// it works with any shim and without a daemon; the network's figures are the kernel's.

import { CliError, exitCodes, textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import { shortIdentifier } from "./identifier.ts";
import { openShim } from "./inspect.ts";
import { type Container, findContainer, listContainers } from "./inventory.ts";
import { type LiveFlags, showLive } from "./live.ts";
import { trafficOf, type Usage, usageOf } from "./metrics.ts";
import type { Column } from "./table.ts";
import { bytesText, percentText } from "./units.ts";

/** One container's figures. The keys are those of the JSON output: a stable interface. */
export interface StatsRow {
  readonly id: string;
  readonly namespace: string;
  /** RFC 3339, of the reading. */
  readonly at: string;
  /** Of one processor, since the reading before. */
  readonly cpuPercent: number;
  /** Nanoseconds. */
  readonly cpuTotal: number;
  /** Bytes, as all others. */
  readonly memory: number;
  readonly memoryLimit: number | null;
  readonly pids: number;
  readonly pidsLimit: number | null;
  readonly read: number;
  readonly written: number;
  /** Null: it shares the host's network. */
  readonly received: number | null;
  readonly sent: number | null;
}

interface Before {
  readonly atMs: number;
  readonly cpuNs: number;
}

/** Of the containers that are named, or of all that run. @throws CliError for one that is not there. */
export async function statsCommand(context: Context, words: readonly string[], flags: LiveFlags): Promise<number> {
  const { settings } = context;
  const named = words.map((word) => findContainer(word, settings));
  const before = new Map<string, Before>();
  const faults = new Map<string, string>();
  const read = async (): Promise<StatsRow[] | undefined> => {
    const containers = named.length > 0 ? named : listContainers(settings);
    faults.clear();
    const rows = await Promise.all(containers.map((container) => rowOf(context, container, before, faults)));
    const found = rows.filter((row) => row !== undefined);
    return named.length > 0 && found.length === 0 ? undefined : found;
  };
  const status = await showLive(flags, read, columns);
  if (named.length === 0 || faults.size === 0) return status;
  for (const [id, text] of faults) process.stderr.write(`moor: figures of ${id}: ${text}\n`);
  return exitCodes.failure;
}

async function rowOf(
  context: Context,
  container: Container,
  before: Map<string, Before>,
  faults: Map<string, string>,
): Promise<StatsRow | undefined> {
  const { id, namespace } = container;
  const key = `${namespace}/${id}`;
  const client = await openShim(container, context.settings.timeoutMs);
  try {
    if (client === undefined) throw new CliError("its shim is gone");
    const [stats, state] = await Promise.all([client.stats(id), client.state(id)]);
    const usage = usageOf(stats);
    if (usage === undefined) throw new CliError("its shim tells them in a way that moor does not know");
    const nowMs = performance.now();
    const last = before.get(key);
    before.set(key, { atMs: nowMs, cpuNs: usage.cpuNs });
    const share = last === undefined ? 0 : ((usage.cpuNs - last.cpuNs) / ((nowMs - last.atMs) * 1e6)) * 100;
    return { id, namespace, at: new Date().toISOString(), ...figures(usage, Math.max(share, 0), state.pid) };
  } catch (thrown) {
    faults.set(id, textOf(thrown));
    context.log.debug("ask for figures", { id, error: textOf(thrown) });
    return undefined;
  } finally {
    client?.close();
  }
}

function figures(usage: Usage, share: number, pid: number): Omit<StatsRow, "id" | "namespace" | "at"> {
  const traffic = trafficOf(pid);
  return {
    cpuPercent: Math.round(share * 100) / 100,
    cpuTotal: usage.cpuNs,
    memory: usage.memory,
    memoryLimit: usage.memoryLimit ?? null,
    pids: usage.pids,
    pidsLimit: usage.pidsLimit ?? null,
    read: usage.readBytes,
    written: usage.writtenBytes,
    received: traffic?.received ?? null,
    sent: traffic?.sent ?? null,
  };
}

const outOf = (value: string, limit: string | undefined): string => (limit === undefined ? value : `${value}/${limit}`);

const columns: Column<StatsRow>[] = [
  { title: "ID", cell: (row) => shortIdentifier(row.id) },
  { title: "NAMESPACE", cell: (row) => row.namespace },
  { title: "CPU", cell: (row) => percentText(row.cpuPercent), right: true },
  {
    title: "MEMORY",
    cell: (row) => outOf(bytesText(row.memory), row.memoryLimit === null ? undefined : bytesText(row.memoryLimit)),
    right: true,
  },
  {
    title: "PIDS",
    cell: (row) => outOf(String(row.pids), row.pidsLimit === null ? undefined : String(row.pidsLimit)),
    right: true,
  },
  { title: "READ", cell: (row) => bytesText(row.read), right: true },
  { title: "WRITTEN", cell: (row) => bytesText(row.written), right: true },
  { title: "RECEIVED", cell: (row) => (row.received === null ? "" : bytesText(row.received)), right: true },
  { title: "SENT", cell: (row) => (row.sent === null ? "" : bytesText(row.sent)), right: true },
];
