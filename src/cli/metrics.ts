// A container's figures as its shim tells them, cgroups of version 1 and 2 made the same, and its network's as the kernel
// tells them.

import { readlinkSync } from "node:fs";
import * as v1 from "../api/cgroups-v1.ts";
import * as v2 from "../api/cgroups-v2.ts";
import type { Any } from "../api/google/protobuf/any.ts";
import { textOfFile } from "./proc-figures.ts";

export interface Usage {
  /** Nanoseconds of processor time since it was made. */
  readonly cpuNs: number;
  readonly memory: number;
  /** Undefined: none. */
  readonly memoryLimit: number | undefined;
  readonly pids: number;
  readonly pidsLimit: number | undefined;
  readonly readBytes: number;
  readonly writtenBytes: number;
}

/** What is larger is "no limit" in one of its spellings: the largest number of 63 or 64 bits, or of whole pages. */
const noLimit = 1n << 62n;

/** The figures in what Stats answered; undefined when it is of a kind that nobody here knows. */
export function usageOf(stats: Any | undefined): Usage | undefined {
  const type = stats?.typeUrl.split("/").at(-1) ?? "";
  if (stats === undefined || !type.startsWith("io.containerd.cgroups.")) return undefined;
  if (type === "io.containerd.cgroups.v2.Metrics") {
    const { cpu, memory, pids, io } = v2.Metrics.decode(stats.value);
    return {
      cpuNs: Number(cpu?.usageUsec ?? 0n) * 1000,
      memory: Number(memory?.usage ?? 0n),
      memoryLimit: limitOf(memory?.usageLimit),
      pids: Number(pids?.current ?? 0n),
      pidsLimit: limitOf(pids?.limit),
      readBytes: Number((io?.usage ?? []).reduce((sum, { rbytes }) => sum + rbytes, 0n)),
      writtenBytes: Number((io?.usage ?? []).reduce((sum, { wbytes }) => sum + wbytes, 0n)),
    };
  }
  const { cpu, memory, pids, blkio } = v1.Metrics.decode(stats.value);
  const moved = (wanted: string): number =>
    (blkio?.ioServiceBytesRecursive ?? [])
      .filter(({ op }) => op.toLowerCase() === wanted)
      .reduce((sum, { value }) => sum + Number(value), 0);
  return {
    cpuNs: Number(cpu?.usage?.total ?? 0n),
    memory: Number(memory?.usage?.usage ?? 0n),
    memoryLimit: limitOf(memory?.usage?.limit),
    pids: Number(pids?.current ?? 0n),
    pidsLimit: limitOf(pids?.limit),
    readBytes: moved("read"),
    writtenBytes: moved("write"),
  };
}

function limitOf(limit: bigint | undefined): number | undefined {
  return limit === undefined || limit === 0n || limit >= noLimit ? undefined : Number(limit);
}

export interface Traffic {
  readonly received: number;
  readonly sent: number;
}

/** Bytes through the network of a process but for its loopback; undefined: it shares the host's, or is gone. */
export function trafficOf(pid: number): Traffic | undefined {
  try {
    if (readlinkSync(`/proc/${pid}/ns/net`) === readlinkSync("/proc/self/ns/net")) return undefined;
  } catch {
    // It ended meanwhile, or is not ours to see.
    return undefined;
  }
  let received = 0;
  let sent = 0;
  for (const line of (textOfFile(`/proc/${pid}/net/dev`) ?? "").split("\n").slice(2)) {
    const [name, figures] = line.split(":");
    if (figures === undefined || name?.trim() === "lo") continue;
    const fields = figures.trim().split(/\s+/).map(Number);
    received += fields[0] ?? 0;
    sent += fields[8] ?? 0;
  }
  return { received, sent };
}
