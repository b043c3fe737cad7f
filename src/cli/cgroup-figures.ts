// The figures of a container's cgroup that explain most, as `moor inspect` tells them: out of the stats that its shim gives.

import { Metrics as MetricsV1 } from "../api/cgroups-v1.ts";
import { Metrics as MetricsV2 } from "../api/cgroups-v2.ts";
import type { Any } from "../api/google/protobuf/any.ts";
import { usageOf } from "./metrics.ts";

/** A limit that is none is null. The keys are those of the JSON output: a stable interface. */
export interface CgroupFigures {
  readonly version: 1 | 2;
  readonly memoryBytes: number;
  readonly memoryLimitBytes: number | null;
  readonly memoryMaxBytes: number;
  readonly cpuNs: number;
  readonly throttledNs: number;
  readonly pids: number;
  readonly pidsLimit: number | null;
  readonly oomKills: number;
}

/** undefined for stats of another kind. */
export function cgroupFigures(stats: Any | undefined): CgroupFigures | undefined {
  const usage = usageOf(stats);
  if (stats === undefined || usage === undefined) return undefined;
  const { memory, memoryLimit = null, cpuNs, pids, pidsLimit = null } = usage;
  const figures = { memoryBytes: memory, memoryLimitBytes: memoryLimit, cpuNs, pids, pidsLimit };
  if (stats.typeUrl.endsWith("cgroups.v2.Metrics")) {
    const more = MetricsV2.decode(stats.value);
    return {
      version: 2,
      ...figures,
      memoryMaxBytes: Number(more.memory?.maxUsage ?? 0n),
      throttledNs: Number(more.cpu?.throttledUsec ?? 0n) * 1000,
      oomKills: Number(more.memoryEvents?.oomKill ?? 0n),
    };
  }
  const more = MetricsV1.decode(stats.value);
  return {
    version: 1,
    ...figures,
    memoryMaxBytes: Number(more.memory?.usage?.max ?? 0n),
    throttledNs: Number(more.cpu?.throttling?.throttledTime ?? 0n),
    oomKills: Number(more.memoryOomControl?.oomKill ?? 0n),
  };
}
