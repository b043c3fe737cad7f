// A container's stats where each controller has a hierarchy of its own, as io.containerd.cgroups.v1.Metrics: the same
// files and units as containerd's own shim. What no controller tells stays absent, as there.

import {
  type BlkIOEntry,
  type BlkIOStat,
  type CPUStat,
  type HugetlbStat,
  type MemoryEntry,
  type MemoryOomControl,
  type MemoryStat,
  Metrics,
  type PidsStat,
  type RdmaStat,
} from "../api/cgroups-v1.ts";
import type { Sys } from "../sys/sys.d.ts";
import { readBlockDevices, readHugePageSizes, readRdma } from "./devices.ts";
import { fieldsOfLines, parseCount, readCount, tryReadCounts, tryReadText } from "./values.ts";

/** cpuacct.stat counts in hundredths of a second (USER_HZ is 100 on every architecture Moor is built for). */
const nanosecondsPerTick = 10_000_000n;

/** Where to look: the cgroup's folder by controller, procfs, and the kernel's folder of huge page sizes. */
export interface MetricsPlaces {
  readonly folders: Readonly<Record<string, string>>;
  readonly proc: string;
  readonly hugePages: string;
}

/** The encoded message. */
export function readMetricsV1(sys: Sys, { folders, proc, hugePages }: MetricsPlaces): Uint8Array {
  const of = <T>(controller: string, read: (folder: string) => T | undefined): T | undefined => {
    const folder = folders[controller];
    return folder === undefined ? undefined : read(folder);
  };
  return Metrics.encode({
    hugetlb: of("hugetlb", (folder) => readHugePages(sys, folder, hugePages)) ?? [],
    pids: of("pids", (folder) => readPids(sys, folder)),
    cpu: readCpu(sys, folders["cpu"], folders["cpuacct"]),
    memory: of("memory", (folder) => readMemory(sys, folder)),
    blkio: of("blkio", (folder) => readBlockIo(sys, folder, proc)),
    rdma: of("rdma", (folder) => readRdmaStat(sys, folder)),
    network: [],
    cgroupStats: undefined,
    memoryOomControl: of("memory", (folder) => readOomControl(sys, folder)),
  }).finish();
}

function readHugePages(sys: Sys, folder: string, hugePages: string): HugetlbStat[] {
  return readHugePageSizes(sys, hugePages).map((pagesize) => ({
    usage: readCount(sys, `${folder}/hugetlb.${pagesize}.usage_in_bytes`),
    max: readCount(sys, `${folder}/hugetlb.${pagesize}.max_usage_in_bytes`),
    failcnt: readCount(sys, `${folder}/hugetlb.${pagesize}.failcnt`),
    pagesize,
  }));
}

/** Here "max", no limit, is 0. */
function readPids(sys: Sys, folder: string): PidsStat | undefined {
  const current = tryReadText(sys, `${folder}/pids.current`);
  if (current === undefined) return undefined;
  return { current: parseCount(current), limit: readCount(sys, `${folder}/pids.max`, 0n) };
}

function readCpu(sys: Sys, cpu: string | undefined, cpuacct: string | undefined): CPUStat {
  const throttling = cpu === undefined ? undefined : tryReadCounts(sys, `${cpu}/cpu.stat`);
  const stat = cpuacct === undefined ? undefined : tryReadCounts(sys, `${cpuacct}/cpuacct.stat`);
  const perCpu = cpuacct === undefined ? undefined : tryReadText(sys, `${cpuacct}/cpuacct.usage_percpu`);
  return {
    usage: {
      total: cpuacct === undefined ? 0n : readCount(sys, `${cpuacct}/cpuacct.usage`),
      kernel: (stat?.("system") ?? 0n) * nanosecondsPerTick,
      user: (stat?.("user") ?? 0n) * nanosecondsPerTick,
      perCpu: (fieldsOfLines(perCpu ?? "")[0] ?? []).map((word) => parseCount(word)),
    },
    throttling: {
      periods: throttling?.("nr_periods") ?? 0n,
      throttledPeriods: throttling?.("nr_throttled") ?? 0n,
      throttledTime: throttling?.("throttled_time") ?? 0n,
    },
  };
}

function readMemory(sys: Sys, folder: string): MemoryStat | undefined {
  const stat = tryReadCounts(sys, `${folder}/memory.stat`);
  if (stat === undefined) return undefined;
  return {
    cache: stat("cache"),
    rss: stat("rss"),
    rssHuge: stat("rss_huge"),
    mappedFile: stat("mapped_file"),
    dirty: stat("dirty"),
    writeback: stat("writeback"),
    pgPgIn: stat("pgpgin"),
    pgPgOut: stat("pgpgout"),
    pgFault: stat("pgfault"),
    pgMajFault: stat("pgmajfault"),
    inactiveAnon: stat("inactive_anon"),
    activeAnon: stat("active_anon"),
    inactiveFile: stat("inactive_file"),
    activeFile: stat("active_file"),
    unevictable: stat("unevictable"),
    hierarchicalMemoryLimit: stat("hierarchical_memory_limit"),
    hierarchicalSwapLimit: stat("hierarchical_memsw_limit"),
    totalCache: stat("total_cache"),
    totalRss: stat("total_rss"),
    totalRssHuge: stat("total_rss_huge"),
    totalMappedFile: stat("total_mapped_file"),
    totalDirty: stat("total_dirty"),
    totalWriteback: stat("total_writeback"),
    totalPgPgIn: stat("total_pgpgin"),
    totalPgPgOut: stat("total_pgpgout"),
    totalPgFault: stat("total_pgfault"),
    totalPgMajFault: stat("total_pgmajfault"),
    totalInactiveAnon: stat("total_inactive_anon"),
    totalActiveAnon: stat("total_active_anon"),
    totalInactiveFile: stat("total_inactive_file"),
    totalActiveFile: stat("total_active_file"),
    totalUnevictable: stat("total_unevictable"),
    usage: readMemoryEntry(sys, `${folder}/memory`),
    swap: readMemoryEntry(sys, `${folder}/memory.memsw`),
    kernel: readMemoryEntry(sys, `${folder}/memory.kmem`),
    kernelTcp: readMemoryEntry(sys, `${folder}/memory.kmem.tcp`),
  };
}

function readMemoryEntry(sys: Sys, prefix: string): MemoryEntry {
  return {
    limit: readCount(sys, `${prefix}.limit_in_bytes`),
    usage: readCount(sys, `${prefix}.usage_in_bytes`),
    max: readCount(sys, `${prefix}.max_usage_in_bytes`),
    failcnt: readCount(sys, `${prefix}.failcnt`),
  };
}

function readOomControl(sys: Sys, folder: string): MemoryOomControl | undefined {
  const control = tryReadCounts(sys, `${folder}/memory.oom_control`);
  if (control === undefined) return undefined;
  return {
    oomKillDisable: control("oom_kill_disable"),
    underOom: control("under_oom"),
    oomKill: control("oom_kill"),
  };
}

function readRdmaStat(sys: Sys, folder: string): RdmaStat {
  return { current: readRdma(sys, `${folder}/rdma.current`), limit: readRdma(sys, `${folder}/rdma.max`) };
}

/** The files of the CFQ scheduler (kernels before 5.0) when they say anything, else what the throttling layer counts. */
function readBlockIo(sys: Sys, folder: string, proc: string): BlkIOStat {
  const devices = readBlockDevices(sys, proc);
  const read = (name: string): BlkIOEntry[] => readBlockEntries(sys, `${folder}/blkio.${name}`, devices);
  const stat: BlkIOStat = {
    ioServiceBytesRecursive: read("io_service_bytes_recursive"),
    ioServicedRecursive: read("io_serviced_recursive"),
    ioQueuedRecursive: read("io_queued_recursive"),
    ioServiceTimeRecursive: read("io_service_time_recursive"),
    ioWaitTimeRecursive: read("io_wait_time_recursive"),
    ioMergedRecursive: read("io_merged_recursive"),
    ioTimeRecursive: read("time_recursive"),
    sectorsRecursive: read("sectors_recursive"),
  };
  if (Object.values(stat).some((entries: BlkIOEntry[]) => entries.length > 0)) return stat;
  return {
    ...stat,
    ioServiceBytesRecursive: read("throttle.io_service_bytes"),
    ioServicedRecursive: read("throttle.io_serviced"),
  };
}

/** Lines of "8:0 Read 4096" or "8:0 4096"; the sum over all devices, "Total 4096", is left out. */
function readBlockEntries(sys: Sys, path: string, devices: ReadonlyMap<string, string>): BlkIOEntry[] {
  const entries: BlkIOEntry[] = [];
  for (const [device = "", ...rest] of fieldsOfLines(tryReadText(sys, path) ?? "")) {
    const [major, minor] = device.split(":");
    if (major === undefined || minor === undefined) continue;
    entries.push({
      op: rest.length > 1 ? (rest[0] ?? "") : "",
      device: devices.get(device) ?? "",
      major: parseCount(major),
      minor: parseCount(minor),
      value: parseCount(rest.at(-1) ?? ""),
    });
  }
  return entries;
}
