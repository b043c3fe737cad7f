// `moor ps`: the containers of moor's shims, with or without a daemon, found by their folders.

import { exitCodes, textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import { shortIdentifier } from "./identifier.ts";
import { type Standing, standingOf } from "./inspect.ts";
import { type Container, listContainers } from "./inventory.ts";
import { type Column, tableLines } from "./table.ts";

export interface PsFlags {
  /** Those that have ended, too. */
  readonly all: boolean;
  readonly quiet: boolean;
  readonly trunc: boolean;
  readonly format: "table" | "json";
}

/** One line of the list. The keys are those of the JSON output: a stable interface. */
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
}

export async function psCommand(context: Context, flags: PsFlags): Promise<number> {
  const { settings } = context;
  const containers = listContainers(settings);
  const standings = await Promise.all(containers.map((container) => standingOf(container, settings.timeoutMs)));
  const found = containers
    .map((container, i) => ({ container, standing: standings[i] as Standing }))
    .filter(({ standing }) => standing.isMoor && (flags.all || standing.status !== "stopped"));
  if (flags.quiet) {
    process.stdout.write(found.map(({ container }) => `${container.id}\n`).join(""));
    return exitCodes.ok;
  }
  const known = await askDaemon(
    context,
    found.map(({ container }) => container),
  );
  const rows = found.map(({ container, standing }) => rowOf(container, standing, known));
  if (flags.format === "json") process.stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`);
  else process.stdout.write(`${tableLines(psColumns(context, flags.trunc), rows).join("\n")}\n`);
  return exitCodes.ok;
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

function rowOf(container: Container, standing: Standing, known: ReadonlySet<string> | undefined): PsRow {
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
  };
}

function psColumns(context: Context, trunc: boolean): Column<PsRow>[] {
  const { paint } = context;
  const dressStatus = (text: string, row: PsRow): string => {
    if (row.status === "running") return paint.good(text);
    return row.status === "orphaned" || row.status === "unknown" ? paint.bad(text) : text;
  };
  return [
    { title: "ID", cell: (row) => (trunc ? shortIdentifier(row.id) : row.id) },
    { title: "NAMESPACE", cell: (row) => row.namespace },
    { title: "PID", cell: (row) => (row.pid === 0 ? "" : String(row.pid)), right: true },
    { title: "STATUS", cell: (row) => row.status, dress: dressStatus },
    { title: "EXIT", cell: (row) => (row.exitStatus === null ? "" : String(row.exitStatus)), right: true },
    { title: "SHIM", cell: (row) => (row.shimPid === null ? "" : String(row.shimPid)), right: true },
    { title: "DAEMON", cell: (row) => row.daemon },
  ];
}
