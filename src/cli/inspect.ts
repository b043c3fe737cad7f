// How one container stands: asked of its shim, and where that is gone read from what it left behind.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Status, type Status as StatusNumber } from "../api/process.ts";
import type { StateResponse } from "../api/task.ts";
import { CliError } from "./cli-error.ts";
import { type Container, addressOf, isMoorShim, wasMoorShim } from "./inventory.ts";
import { isStill, programOf } from "./proc.ts";
import { cgroupLinesOf, figuresOf, textOfFile } from "./proc-figures.ts";
import { instantOf } from "./instant.ts";
import { ShimClient } from "./shim-client.ts";

/**
 * The shim's words for what it has; `orphaned`: the process lives and its shim does not; `unknown`: neither the shim
 * nor a record can tell.
 */
export type ContainerStatus = "created" | "running" | "pausing" | "paused" | "stopped" | "orphaned" | "unknown";

export interface RecordedExit {
  readonly status: number;
  /** RFC 3339, or "" when nobody knows. */
  readonly exitedAt: string;
}

export interface Standing {
  readonly status: ContainerStatus;
  /** Init's; 0 when there is none or nobody knows. */
  readonly pid: number;
  /** Once it has ended, if its status is known. */
  readonly exit: RecordedExit | undefined;
  /** Undefined: there is no shim (any more). */
  readonly shimPid: number | undefined;
  /** What the shim says of the container; undefined without a shim. */
  readonly state: StateResponse | undefined;
  readonly isMoor: boolean;
}

const statusNames: Readonly<Record<StatusNumber, ContainerStatus>> = {
  [Status.UNKNOWN]: "unknown",
  [Status.CREATED]: "created",
  [Status.RUNNING]: "running",
  [Status.STOPPED]: "stopped",
  [Status.PAUSED]: "paused",
  [Status.PAUSING]: "pausing",
};

/** A connection to the container's shim, or undefined when there is none to reach. */
export async function openShim(container: Container, timeoutMs: number): Promise<ShimClient | undefined> {
  const address = addressOf(container);
  if (address === undefined) return undefined;
  try {
    return await ShimClient.connect(address, timeoutMs);
  } catch (thrown) {
    if (thrown instanceof CliError) return undefined;
    throw thrown;
  }
}

/** As openShim. @throws CliError when there is no shim. */
export async function requireShim(container: Container, timeoutMs: number): Promise<ShimClient> {
  const client = await openShim(container, timeoutMs);
  if (client !== undefined) return client;
  throw new CliError(`the shim of ${container.id} is gone: moor ps shows what is left, moor rm -f removes it`);
}

/** How it stands now. Never throws for a shim that is gone, hung, or does not know the container. */
export async function standingOf(container: Container, timeoutMs: number): Promise<Standing> {
  const client = await openShim(container, timeoutMs);
  if (client === undefined) return standingWithoutShim(container);
  try {
    const [state, shimPid] = await Promise.all([client.state(container.id), client.shimPid(container.id)]);
    const stopped = state.status === Status.STOPPED;
    return {
      status: statusNames[state.status] ?? "unknown",
      pid: state.pid,
      exit: stopped ? { status: state.exitStatus, exitedAt: instantOf(state.exitedAt) } : undefined,
      shimPid,
      state,
      isMoor: container.owner === "moor" || isMoorShim(programOf(shimPid)),
    };
  } catch {
    // It hangs, died meanwhile, or has deleted the container: what it left behind tells the rest.
    return standingWithoutShim(container);
  } finally {
    client.close();
  }
}

function standingWithoutShim(container: Container): Standing {
  const record = container.folder?.readRecord();
  const exit = recordedExit(container);
  const pid = record?.pid ?? notedPid(container);
  const lives =
    exit === undefined &&
    (record?.pidStartTime === undefined ? isInCgroupOf(pid, container.id) : isStill(pid, record.pidStartTime));
  return {
    status: exit !== undefined ? "stopped" : lives ? "orphaned" : "unknown",
    pid: record !== undefined || lives ? pid : 0,
    exit,
    shimPid: undefined,
    state: undefined,
    isMoor: container.owner === "moor" || wasMoorShim(container),
  };
}

/** Init's pid as the runtime wrote it into the bundle; 0 when it has not. */
function notedPid(container: Container): number {
  const pid = Number(textOfFile(join(container.bundle, "init.pid")) ?? "");
  return Number.isInteger(pid) && pid > 0 ? pid : 0;
}

/** Whether a process is this container's beyond doubt: pids come again, names of cgroups with the whole id do not. */
function isInCgroupOf(pid: number, id: string): boolean {
  if (pid === 0 || figuresOf(pid)?.state === "Z") return false;
  return cgroupLinesOf(pid).some((line) => line.split(/[/:]/).some((name) => name === id || name === `${id}.scope`));
}

/** How it ended, by the record that the shim writes before it announces an exit. */
export function recordedExit(container: Container): RecordedExit | undefined {
  try {
    const text = readFileSync(join(container.bundle, "exits.json"), "utf8");
    const { exits } = JSON.parse(text) as { exits?: Record<string, { status?: unknown; exitedAt?: unknown }> };
    const entry = exits?.[container.id];
    if (typeof entry?.status !== "number") return undefined;
    return { status: entry.status, exitedAt: typeof entry.exitedAt === "string" ? entry.exitedAt : "" };
  } catch {
    // No record, or one that was cut short: then nothing is known.
    return undefined;
  }
}
