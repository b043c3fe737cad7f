// A container's stats in the unified hierarchy, as io.containerd.cgroups.v2.Metrics: the same files as containerd's own
// shim (of 2.x, whose newer fields older daemons skip). A missing file reads as 0, a limit of "max" as 2^64-1.

import {
  type CPUStat,
  type HugeTlbStat,
  type IOEntry,
  type MemoryEvents,
  type MemoryStat,
  Metrics,
  type PSIData,
  type PSIStats,
} from "../api/cgroups-v2.ts";
import type { Sys } from "../sys/sys.d.ts";
import { readHugePageSizes, readRdma } from "./devices.ts";
import { fieldsOfLines, parseCount, readCount, tryReadCounts, tryReadText } from "./values.ts";

/** The encoded message for the cgroup with this folder. */
export function readMetricsV2(sys: Sys, folder: string, hugePages: string): Uint8Array {
  return Metrics.encode({
    pids: { current: readCount(sys, `${folder}/pids.current`), limit: readCount(sys, `${folder}/pids.max`) },
    cpu: readCpu(sys, folder),
    memory: readMemory(sys, folder),
    rdma: { current: readRdma(sys, `${folder}/rdma.current`), limit: readRdma(sys, `${folder}/rdma.max`) },
    io: { usage: readIo(sys, folder), psi: readPressure(sys, `${folder}/io.pressure`) },
    hugetlb: readHugePageSizes(sys, hugePages).map((size) => readHugePages(sys, folder, size)),
    memoryEvents: readMemoryEvents(sys, folder),
    network: [],
  }).finish();
}

function readCpu(sys: Sys, folder: string): CPUStat {
  const stat = tryReadCounts(sys, `${folder}/cpu.stat`) ?? nothing;
  return {
    usageUsec: stat("usage_usec"),
    userUsec: stat("user_usec"),
    systemUsec: stat("system_usec"),
    nrPeriods: stat("nr_periods"),
    nrThrottled: stat("nr_throttled"),
    throttledUsec: stat("throttled_usec"),
    psi: readPressure(sys, `${folder}/cpu.pressure`),
    nrBursts: stat("nr_bursts"),
    burstUsec: stat("burst_usec"),
  };
}

function nothing(): bigint {
  return 0n;
}

function readMemory(sys: Sys, folder: string): MemoryStat {
  const stat = tryReadCounts(sys, `${folder}/memory.stat`) ?? nothing;
  // Since 5.9 the kernel counts these two by kind of page.
  const both = (name: string): bigint => stat(name) || stat(`${name}_anon`) + stat(`${name}_file`);
  return {
    anon: stat("anon"),
    file: stat("file"),
    kernelStack: stat("kernel_stack"),
    slab: stat("slab"),
    sock: stat("sock"),
    shmem: stat("shmem"),
    fileMapped: stat("file_mapped"),
    fileDirty: stat("file_dirty"),
    fileWriteback: stat("file_writeback"),
    anonThp: stat("anon_thp"),
    inactiveAnon: stat("inactive_anon"),
    activeAnon: stat("active_anon"),
    inactiveFile: stat("inactive_file"),
    activeFile: stat("active_file"),
    unevictable: stat("unevictable"),
    slabReclaimable: stat("slab_reclaimable"),
    slabUnreclaimable: stat("slab_unreclaimable"),
    pgfault: stat("pgfault"),
    pgmajfault: stat("pgmajfault"),
    workingsetRefault: both("workingset_refault"),
    workingsetActivate: both("workingset_activate"),
    workingsetNodereclaim: stat("workingset_nodereclaim"),
    pgrefill: stat("pgrefill"),
    pgscan: stat("pgscan"),
    pgsteal: stat("pgsteal"),
    pgactivate: stat("pgactivate"),
    pgdeactivate: stat("pgdeactivate"),
    pglazyfree: stat("pglazyfree"),
    pglazyfreed: stat("pglazyfreed"),
    thpFaultAlloc: stat("thp_fault_alloc"),
    thpCollapseAlloc: stat("thp_collapse_alloc"),
    usage: readCount(sys, `${folder}/memory.current`),
    usageLimit: readCount(sys, `${folder}/memory.max`),
    swapUsage: readCount(sys, `${folder}/memory.swap.current`),
    swapLimit: readCount(sys, `${folder}/memory.swap.max`),
    maxUsage: readCount(sys, `${folder}/memory.peak`),
    swapMaxUsage: readCount(sys, `${folder}/memory.swap.peak`),
    psi: readPressure(sys, `${folder}/memory.pressure`),
  };
}

function readMemoryEvents(sys: Sys, folder: string): MemoryEvents | undefined {
  const events = tryReadCounts(sys, `${folder}/memory.events`);
  if (events === undefined) return undefined;
  return {
    low: events("low"),
    high: events("high"),
    max: events("max"),
    oom: events("oom"),
    oomKill: events("oom_kill"),
    oomGroupKill: events("oom_group_kill"),
  };
}

/** Lines of "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6". A device that was never used has no values. */
function readIo(sys: Sys, folder: string): IOEntry[] {
  const entries: IOEntry[] = [];
  for (const [device = "", ...pairs] of fieldsOfLines(tryReadText(sys, `${folder}/io.stat`) ?? "")) {
    const [major, minor] = device.split(":");
    if (major === undefined || minor === undefined || pairs.length === 0) continue;
    const values = new Map(pairs.map((pair) => pair.split("=", 2) as [string, string]));
    const count = (name: string): bigint => parseCount(values.get(name) ?? "");
    entries.push({
      major: parseCount(major),
      minor: parseCount(minor),
      rbytes: count("rbytes"),
      wbytes: count("wbytes"),
      rios: count("rios"),
      wios: count("wios"),
    });
  }
  return entries;
}

function readHugePages(sys: Sys, folder: string, pagesize: string): HugeTlbStat {
  const events = tryReadCounts(sys, `${folder}/hugetlb.${pagesize}.events`) ?? nothing;
  return {
    current: readCount(sys, `${folder}/hugetlb.${pagesize}.current`),
    max: readCount(sys, `${folder}/hugetlb.${pagesize}.max`),
    pagesize,
    failcnt: events("max"),
  };
}

/** Lines of "some avg10=0.00 avg60=0.00 avg300=0.00 total=0". Absent where the kernel has pressure switched off. */
function readPressure(sys: Sys, path: string): PSIStats | undefined {
  const text = tryReadText(sys, path);
  if (text === undefined) return undefined;
  const lines = new Map(fieldsOfLines(text).map(([kind = "", ...pairs]) => [kind, pairs]));
  const data = (kind: string): PSIData | undefined => {
    const pairs = lines.get(kind);
    if (pairs === undefined) return undefined;
    const values = new Map(pairs.map((pair) => pair.split("=", 2) as [string, string]));
    const share = (name: string): number => Number.parseFloat(values.get(name) ?? "") || 0;
    return {
      avg10: share("avg10"),
      avg60: share("avg60"),
      avg300: share("avg300"),
      total: parseCount(values.get("total") ?? ""),
    };
  };
  return { some: data("some"), full: data("full") };
}
