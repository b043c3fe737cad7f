// Everything that can be found out about one container: what its shim tells by the control service, what the Task API and
// /proc tell of any shim, and what is in its bundle when the shim is gone. The form is the JSON of `moor inspect`, a stable
// interface that docs/inspect.md describes: keys are only added.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type CgroupFigures, cgroupFigures } from "./cgroup-figures.ts";
import { textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import { ControlLacking } from "./control-client.ts";
import { type ContainerStatus, openShim, standingOf } from "./inspect.ts";
import { addressOf, type Container } from "./inventory.ts";
import { lackOf } from "./lacking.ts";
import { type OpenFile, openFilesOf } from "./open-files.ts";
import { programOf } from "./proc.ts";
import { factsOf, type MemoryFacts, memoryFactsOf, type ProcessFacts } from "./process-facts.ts";
import { execIdOf } from "./processes.ts";
import type { ShimClient } from "./shim-client.ts";

export interface Inspection {
  readonly id: string;
  readonly namespace: string;
  readonly bundle: string;
  readonly owner: "moor" | "containerd";
  readonly status: ContainerStatus;
  readonly pid: number;
  readonly exit: { readonly status: number; readonly exitedAt: string } | null;
  readonly shim: InspectedShim | null;
  /** The tree is in their ppid. */
  readonly processes: readonly (ProcessFacts & { readonly exec: string })[];
  readonly cgroup: CgroupFigures | null;
  /** What the shim alone knows; null without its control service. */
  readonly container: InspectedContainer | null;
  /** exits.json and moor.json of the bundle, as they are. */
  readonly exits: unknown;
  readonly run: unknown;
  readonly spec: unknown;
  /** What could not be found out, and why. */
  readonly lacks: readonly string[];
}

export interface InspectedShim {
  readonly pid: number;
  readonly program: string;
  readonly address: string;
  readonly memory: MemoryFacts | null;
  readonly files: readonly OpenFile[];
  /** What the shim alone knows, if it has a control service. */
  readonly version: string | null;
  readonly logLevel: string | null;
  readonly heap: unknown;
  /** Requests under way, with their age. */
  readonly calls: readonly InspectedCall[];
  readonly connections: number | null;
  readonly events: { readonly undelivered: number; readonly delivered: number } | null;
  readonly reaper: unknown;
  /** What it has survived: the lines of the bundle's file `crashes`. */
  readonly crashes: unknown;
  /** Ids of its other containers. */
  readonly others: readonly string[];
}

export interface InspectedCall {
  readonly method: string;
  readonly ageMs: number;
  readonly pid: number;
  readonly name: string;
}

export interface InspectedContainer {
  readonly mountedRootfs: string;
  readonly options: unknown;
  readonly cgroup: unknown;
  readonly processes: readonly InspectedProcess[];
  readonly history: readonly Step[];
  readonly runtimeCalls: readonly RuntimeCall[];
}

export interface InspectedProcess {
  readonly execId: string;
  readonly pid: number;
  readonly state: string;
  readonly terminal: boolean;
  readonly terminalSize?: { readonly rows: number; readonly columns: number };
  readonly outOfMemory?: boolean;
  readonly streams: readonly {
    readonly name: string;
    readonly uri: string;
    readonly state: string;
    readonly waitsFor?: string;
  }[];
}

export interface Step {
  /** RFC 3339, milliseconds. */
  readonly time: string;
  readonly exec: string;
  readonly from: string | null;
  readonly to: string | null;
  readonly why: string;
}

export interface RuntimeCall {
  readonly time: string;
  readonly operation: string;
  /** null: it is under way. */
  readonly ms: number | null;
  readonly result: string;
}

/** Never throws for what is gone or does not answer: that is among what it lacks. */
export async function inspectContainer(context: Context, container: Container): Promise<Inspection> {
  const { settings } = context;
  const { id, namespace, bundle, owner } = container;
  const lacks: string[] = [];
  const standing = await standingOf(container, settings.timeoutMs);
  const client = await openShim(container, settings.timeoutMs);
  if (client === undefined) lacks.push("the shim is gone: what it alone knew is lost");
  try {
    const told = client === undefined ? undefined : await askControl(context, client, id, lacks);
    const pids = client === undefined ? pidOf(standing.pid) : await askPids(client, id, lacks);
    return {
      id,
      namespace,
      bundle,
      owner,
      status: standing.status,
      pid: standing.pid,
      exit: standing.exit ?? null,
      shim: client === undefined ? null : shimOf(await client.shimPid(id).catch(() => 0), container, told),
      processes: pids.flatMap(({ pid, exec }) => {
        const facts = standing.status === "stopped" ? undefined : factsOf(pid);
        return facts === undefined ? [] : [{ ...facts, exec }];
      }),
      cgroup: client === undefined ? null : await askStats(client, id, lacks),
      container: told === undefined ? null : containerOf(told),
      exits: readJson(join(bundle, "exits.json")),
      run: readJson(join(bundle, "moor.json")),
      spec: readJson(join(bundle, "config.json")),
      lacks,
    };
  } finally {
    client?.close();
  }
}

type Told = Readonly<Record<string, unknown>>;

async function askControl(
  context: Context,
  client: ShimClient,
  id: string,
  lacks: string[],
): Promise<Told | undefined> {
  try {
    return await client.control.inspect(id);
  } catch (thrown) {
    lacks.push(thrown instanceof ControlLacking ? await lackOf(context, client, id, thrown) : textOf(thrown));
    return undefined;
  }
}

async function askPids(
  client: ShimClient,
  id: string,
  lacks: string[],
): Promise<readonly { pid: number; exec: string }[]> {
  try {
    return (await client.pids(id)).map((process) => ({ pid: process.pid, exec: execIdOf(process) }));
  } catch (thrown) {
    lacks.push(`processes: ${textOf(thrown)}`);
    return [];
  }
}

async function askStats(client: ShimClient, id: string, lacks: string[]): Promise<CgroupFigures | null> {
  try {
    return cgroupFigures(await client.stats(id)) ?? null;
  } catch (thrown) {
    lacks.push(`cgroup: ${textOf(thrown)}`);
    return null;
  }
}

function pidOf(pid: number): readonly { pid: number; exec: string }[] {
  return pid === 0 ? [] : [{ pid, exec: "" }];
}

function shimOf(pid: number, container: Container, told: Told | undefined): InspectedShim {
  const shim = told?.["shim"] as { version?: string } | undefined;
  const server = told?.["server"] as { connections: number; pending?: readonly PendingCall[] } | undefined;
  return {
    pid,
    program: programOf(pid),
    address: addressOf(container) ?? "",
    memory: memoryFactsOf(pid) ?? null,
    files: openFilesOf(pid),
    version: shim?.version ?? null,
    logLevel: (told?.["log"] as string | undefined) ?? null,
    heap: told?.["heap"] ?? null,
    calls: (server?.pending ?? []).filter(({ method }) => method !== "Inspect").map(callOf),
    connections: server?.connections ?? null,
    events: (told?.["events"] as InspectedShim["events"] | undefined) ?? null,
    reaper: told?.["reaper"] ?? null,
    crashes: told?.["crashes"] ?? null,
    others: (told?.["others"] as string[] | undefined) ?? [],
  };
}

interface PendingCall {
  readonly method: string;
  readonly ageMs: number;
  readonly peer?: { readonly pid: number };
}

function callOf({ method, ageMs, peer }: PendingCall): InspectedCall {
  const pid = peer?.pid ?? 0;
  return { method, ageMs: Math.round(ageMs), pid, name: factsOf(pid)?.name ?? "" };
}

interface ToldContainer extends Omit<InspectedContainer, "history" | "runtimeCalls"> {
  readonly history?: readonly { atMs: number; exec: string; from?: string; to?: string; why: string }[];
  readonly runtimeCalls?: readonly { atMs: number; operation: string; tookMs?: number; result: string }[];
}

function containerOf(told: Told): InspectedContainer {
  const {
    history = [],
    runtimeCalls = [],
    mountedRootfs,
    options,
    cgroup,
    processes,
  } = told["container"] as ToldContainer;
  return {
    mountedRootfs,
    options,
    cgroup,
    processes,
    history: history.map(({ atMs, exec, from = null, to = null, why }) => ({
      time: timeOf(atMs),
      exec,
      from,
      to,
      why,
    })),
    runtimeCalls: runtimeCalls.map(({ atMs, operation, tookMs = null, result }) => {
      return { time: timeOf(atMs), operation, ms: tookMs, result };
    }),
  };
}

function timeOf(atMs: number): string {
  return new Date(atMs).toISOString();
}

/** null: there is none, or it makes no sense. */
function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as unknown;
  } catch {
    return null;
  }
}
