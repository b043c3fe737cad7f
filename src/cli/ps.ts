// `moor ps`: the containers of the shims of this machine, of Moor and of others, with or without a daemon: found by
// their folders, by their sockets, and, where nothing else is left of a container, as processes.

import { exitCodes, textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import { shortIdentifier } from "./identifier.ts";
import { openShim, type Standing, standingOf } from "./inspect.ts";
import { addressOf, type Container, listContainers } from "./inventory.ts";
import { type Format, listText } from "./output.ts";
import { programOf } from "./proc.ts";
import { memoryOf, startedAt } from "./proc-figures.ts";
import { execIdsOf } from "./processes.ts";
import { kindOf, listShimProcesses, readUnixSockets, socketPathOf } from "./shim-processes.ts";
import { ShimVersions } from "./shim-versions.ts";
import type { Column } from "./table.ts";
import { ago, bytesText } from "./units.ts";

export interface PsFlags {
  /** Those that have ended, too. */
  readonly all: boolean;
  readonly quiet: boolean;
  readonly trunc: boolean;
  readonly format: Format;
}

/** One line of the list. The keys are those of the JSON output: a stable interface, to which keys are only added. */
export interface PsRow {
  readonly id: string;
  readonly namespace: string;
  readonly pid: number;
  readonly status: string;
  readonly exitStatus: number | null;
  readonly exitedAt: string | null;
  readonly shimPid: number | null;
  readonly bundle: string;
  /** "none": runs without a daemon; "known": the daemon has it; "unknown": it has not; "down": it cannot be asked. */
  readonly daemon: "none" | "known" | "unknown" | "down";
  /** When its init began, or has ended; RFC 3339. */
  readonly since: string | null;
  /** Ids of the execs that run. */
  readonly execs: readonly string[];
  /** Connections to the shim's socket, ours left out: a daemon has one as long as it holds the container. */
  readonly connections: number | null;
  /** "moor", "runc" and the like. */
  readonly shim: string | null;
  readonly shimVersion: string | null;
  /** Bytes: the shim's own pages and its part of shared ones. */
  readonly shimMemory: number | null;
}

export async function psCommand(context: Context, flags: PsFlags): Promise<number> {
  const { settings } = context;
  // Before anything is asked: so none of the connections is ours.
  const sockets = readUnixSockets();
  const containers = listContainers(settings);
  const standings = await Promise.all(containers.map((container) => standingOf(container, settings.timeoutMs)));
  const found = containers
    .map((container, i) => ({ container, standing: standings[i] as Standing }))
    .filter(({ standing }) => flags.all || standing.status !== "stopped");
  const lost = lostShims(context, containers, standings);
  if (flags.quiet) {
    process.stdout.write([...found.map(({ container }) => container.id), ...lost.map(({ id }) => id)].join("\n"));
    if (found.length + lost.length > 0) process.stdout.write("\n");
    return exitCodes.ok;
  }
  const known = await askDaemon(
    context,
    found.map(({ container }) => container),
  );
  const versions = new ShimVersions(settings.timeoutMs);
  const rows = await Promise.all([
    ...found.map(async ({ container, standing }): Promise<PsRow> => {
      const address = addressOf(container);
      const connections = address === undefined ? undefined : (sockets.connections.get(socketPathOf(address)) ?? 0);
      const execs = await execsOf(context, container, standing);
      return {
        ...rowOf(container, standing, known),
        ...(await shimCells(standing.shimPid, versions, connections)),
        execs,
      };
    }),
    ...lost.map(async (row) => ({ ...row, ...(await shimCells(row.shimPid ?? undefined, versions, undefined)) })),
  ]);
  process.stdout.write(listText(flags.format, rows, () => psColumns(context, flags.trunc)));
  return exitCodes.ok;
}

/** Shims that run while nothing of the container they were started for is left, neither its folder nor its bundle. */
function lostShims(context: Context, containers: readonly Container[], standings: readonly Standing[]): PsRow[] {
  const { namespace, root, address } = context.settings;
  const serving = new Set(standings.map(({ shimPid }) => shimPid));
  return listShimProcesses()
    .filter((shim) => shim.address === root || shim.address === address)
    .filter((shim) => namespace === undefined || shim.namespace === namespace)
    .filter((shim) => !serving.has(shim.pid))
    .filter((shim) => !containers.some(({ id, namespace: own }) => id === shim.id && own === shim.namespace))
    .map((shim) => ({
      id: shim.id,
      namespace: shim.namespace,
      pid: 0,
      status: "lost",
      exitStatus: null,
      exitedAt: null,
      shimPid: shim.pid,
      bundle: "",
      daemon: shim.address === root ? "none" : "unknown",
      since: startedAt(shim.pid) ?? null,
      execs: [],
      connections: null,
      shim: null,
      shimVersion: null,
      shimMemory: null,
    }));
}

type ShimCells = Pick<PsRow, "connections" | "shim" | "shimVersion" | "shimMemory">;

async function shimCells(
  pid: number | undefined,
  versions: ShimVersions,
  connections: number | undefined,
): Promise<ShimCells> {
  if (pid === undefined) return { connections: null, shim: null, shimVersion: null, shimMemory: null };
  return {
    connections: connections ?? null,
    shim: kindOf(programOf(pid)),
    shimVersion: (await versions.of(pid)) ?? null,
    shimMemory: memoryOf(pid) ?? null,
  };
}

async function execsOf(context: Context, container: Container, { state, pid }: Standing): Promise<string[]> {
  if (state === undefined || pid === 0) return [];
  const client = await openShim(container, context.settings.timeoutMs);
  try {
    return client === undefined ? [] : execIdsOf(await client.pids(container.id));
  } catch (thrown) {
    // It ended meanwhile, or never began: then it has no processes to tell of.
    context.log.debug("ask for processes", { id: container.id, error: textOf(thrown) });
    return [];
  } finally {
    client?.close();
  }
}

/** The daemon's own containers among these, as "namespace/id"; undefined: it does not answer. */
async function askDaemon(context: Context, containers: readonly Container[]): Promise<ReadonlySet<string> | undefined> {
  const theirs = containers.filter((container) => container.owner === "containerd");
  // Without one of its containers there is nothing to ask, and the gRPC library stays unloaded.
  if (theirs.length === 0) return new Set();
  const { DaemonApi } = await import("./daemon-api.ts");
  const daemon = new DaemonApi(context.settings.address, context.settings.timeoutMs);
  try {
    return await daemon.knownTasks(new Set(theirs.map((container) => container.namespace)));
  } catch (thrown) {
    context.log.info("the daemon does not answer", { address: context.settings.address, error: textOf(thrown) });
    return undefined;
  } finally {
    daemon.close();
  }
}

type PlainRow = Omit<PsRow, keyof ShimCells | "execs">;

function rowOf(container: Container, standing: Standing, known: ReadonlySet<string> | undefined): PlainRow {
  const { id, namespace, bundle, owner } = container;
  const asked = known === undefined ? "down" : known.has(`${namespace}/${id}`) ? "known" : "unknown";
  return {
    id,
    namespace,
    pid: standing.pid,
    status: standing.status,
    exitStatus: standing.exit?.status ?? null,
    exitedAt: standing.exit?.exitedAt || null,
    shimPid: standing.shimPid ?? null,
    bundle,
    daemon: owner === "moor" ? "none" : asked,
    since: (standing.exit !== undefined ? standing.exit.exitedAt || undefined : startedAt(standing.pid)) ?? null,
  };
}

function psColumns(context: Context, trunc: boolean): Column<PsRow>[] {
  const { paint } = context;
  const dressStatus = (text: string, row: PsRow): string => {
    if (row.status === "running") return paint.good(text);
    return row.status === "orphaned" || row.status === "lost" || row.status === "unknown" ? paint.bad(text) : text;
  };
  return [
    { title: "ID", cell: (row) => (trunc ? shortIdentifier(row.id) : row.id) },
    { title: "NAMESPACE", cell: (row) => row.namespace },
    { title: "PID", cell: (row) => (row.pid === 0 ? "" : String(row.pid)), right: true },
    { title: "STATUS", cell: (row) => row.status, dress: dressStatus },
    { title: "SINCE", cell: (row) => (row.since === null ? "" : ago(row.since, Date.now())) },
    { title: "EXIT", cell: (row) => (row.exitStatus === null ? "" : String(row.exitStatus)), right: true },
    { title: "EXECS", cell: (row) => (row.execs.length === 0 ? "" : String(row.execs.length)), right: true },
    { title: "SHIM", cell: (row) => (row.shimPid === null ? "" : String(row.shimPid)), right: true },
    { title: "VERSION", cell: (row) => (row.shim === null ? "" : `${row.shim} ${row.shimVersion ?? ""}`.trimEnd()) },
    { title: "MEMORY", cell: (row) => (row.shimMemory === null ? "" : bytesText(row.shimMemory)), right: true },
    { title: "DAEMON", cell: daemonCell },
  ];
}

/** What the daemon says, and whether it (or somebody) is connected. */
function daemonCell(row: PsRow): string {
  if (row.daemon === "none" || row.connections === null) return row.daemon;
  return `${row.daemon}, ${row.connections > 0 ? "connected" : "not connected"}`;
}
