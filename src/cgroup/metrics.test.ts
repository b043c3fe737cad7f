import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Metrics as MetricsV1 } from "../api/cgroups-v1.ts";
import { Metrics as MetricsV2 } from "../api/cgroups-v2.ts";
import { Cgroup } from "./cgroup.ts";
import { FixtureTree } from "./tree.fixture.ts";

const max = 2n ** 64n - 1n;

async function statsV1(t: TestContext, files: Record<string, string>): Promise<MetricsV1> {
  const tree = new FixtureTree(files);
  t.after(() => tree.end());
  const folders: Record<string, string> = {};
  for (const name of ["cpu", "cpuacct", "memory", "pids", "blkio", "hugetlb", "rdma"])
    folders[name] = `${tree.top}/${name}`;
  const { typeUrl, value } = await new Cgroup(tree.sys, { version: 1, folders }, tree.kernel).stats();
  assert.equal(typeUrl, "io.containerd.cgroups.v1.Metrics");
  return MetricsV1.decode(value);
}

async function statsV2(t: TestContext, files: Record<string, string>): Promise<MetricsV2> {
  const tree = new FixtureTree(files);
  t.after(() => tree.end());
  const { typeUrl, value } = await new Cgroup(
    tree.sys,
    { version: 2, folders: { "": `${tree.top}/c` } },
    tree.kernel,
  ).stats();
  assert.equal(typeUrl, "io.containerd.cgroups.v2.Metrics");
  return MetricsV2.decode(value);
}

test("stats: version 1, every file", async (t) => {
  const stats = await statsV1(t, {
    "cpu/cpu.stat": "nr_periods 5\nnr_throttled 2\nthrottled_time 123456789\nnr_bursts 0\n",
    "cpuacct/cpuacct.stat": "user 123\nsystem 45\n",
    "cpuacct/cpuacct.usage": "1700000001\n",
    "cpuacct/cpuacct.usage_percpu": "1000 2000 \n",
    "memory/memory.stat":
      "cache 1\nrss 2\nhierarchical_memory_limit 9223372036854771712\ntotal_rss 18446744073709551615\ntotal_unevictable 7\n",
    "memory/memory.usage_in_bytes": "4096\n",
    "memory/memory.limit_in_bytes": "9223372036854771712\n",
    "memory/memory.max_usage_in_bytes": "8192\n",
    "memory/memory.failcnt": "3\n",
    "memory/memory.kmem.tcp.usage_in_bytes": "11\n",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 1\noom_kill 4\n",
    "pids/pids.current": "3\n",
    "pids/pids.max": "max\n",
    "blkio/blkio.throttle.io_service_bytes": "8:0 Read 4096\n8:0 Write 0\n253:1 Read 1\nTotal 4097\n",
    "blkio/blkio.throttle.io_serviced": "8:0 Read 2\nTotal 2\n",
    "proc/partitions": "major minor  #blocks  name\n\n   8        0   10485760 sda\n",
    "hugepages/hugepages-2048kB/nr": "",
    "hugepages/hugepages-1048576kB/nr": "",
    "hugepages/hugepages-64kB/nr": "",
    "hugetlb/hugetlb.2MB.usage_in_bytes": "2097152\n",
    "hugetlb/hugetlb.2MB.failcnt": "1\n",
    "rdma/rdma.current": "mlx4_0 hca_handle=1 hca_object=20\n",
    "rdma/rdma.max": "mlx4_0 hca_handle=2 hca_object=max\n",
  });
  assert.deepEqual(stats.cpu, {
    usage: { total: 1700000001n, user: 1_230_000_000n, kernel: 450_000_000n, perCpu: [1000n, 2000n] },
    throttling: { periods: 5n, throttledPeriods: 2n, throttledTime: 123456789n },
  });
  const memory = stats.memory;
  assert.deepEqual([memory?.cache, memory?.rss, memory?.totalRss, memory?.totalUnevictable], [1n, 2n, max, 7n]);
  assert.equal(memory?.hierarchicalMemoryLimit, 9223372036854771712n);
  assert.deepEqual(memory?.usage, { usage: 4096n, limit: 9223372036854771712n, max: 8192n, failcnt: 3n });
  assert.equal(memory?.swap?.usage, 0n);
  assert.equal(memory?.kernelTcp?.usage, 11n);
  assert.deepEqual(stats.memoryOomControl, { oomKillDisable: 0n, underOom: 1n, oomKill: 4n });
  assert.deepEqual(stats.pids, { current: 3n, limit: 0n });
  assert.deepEqual(stats.blkio?.ioServiceBytesRecursive, [
    { op: "Read", device: "/dev/sda", major: 8n, minor: 0n, value: 4096n },
    { op: "Write", device: "/dev/sda", major: 8n, minor: 0n, value: 0n },
    { op: "Read", device: "", major: 253n, minor: 1n, value: 1n },
  ]);
  assert.equal(stats.blkio?.ioServicedRecursive[0]?.value, 2n);
  assert.deepEqual(
    stats.hugetlb.map(({ pagesize, usage, failcnt }) => [pagesize, usage, failcnt]),
    [
      ["1GB", 0n, 0n],
      ["2MB", 2097152n, 1n],
      ["64KB", 0n, 0n],
    ],
  );
  assert.deepEqual(stats.rdma, {
    current: [{ device: "mlx4_0", hcaHandles: 1, hcaObjects: 20 }],
    limit: [{ device: "mlx4_0", hcaHandles: 2, hcaObjects: 0xffff_ffff }],
  });
});

test("stats: version 1, the scheduler's counts come before the throttling layer's", async (t) => {
  const { blkio } = await statsV1(t, {
    "blkio/blkio.io_service_bytes_recursive": "8:0 Read 5\n",
    "blkio/blkio.sectors_recursive": "8:0 9\n",
    "blkio/blkio.throttle.io_service_bytes": "8:0 Read 6\n",
  });
  assert.equal(blkio?.ioServiceBytesRecursive[0]?.value, 5n);
  assert.deepEqual(blkio?.sectorsRecursive, [{ op: "", device: "", major: 8n, minor: 0n, value: 9n }]);
});

test("stats: version 1, a controller that is missing is absent, and of no controller there is no error", async (t) => {
  const stats = await statsV1(t, {});
  assert.deepEqual(
    [stats.pids, stats.memory, stats.memoryOomControl, stats.hugetlb],
    [undefined, undefined, undefined, []],
  );
  assert.equal(stats.cpu?.usage?.total, 0n);
});

test("stats: version 2, every file", async (t) => {
  const stats = await statsV2(t, {
    "c/pids.current": "4\n",
    "c/pids.max": "max\n",
    "c/cpu.stat":
      "usage_usec 10\nuser_usec 6\nsystem_usec 4\nnr_periods 1\nnr_throttled 2\nthrottled_usec 3\nnr_bursts 8\nburst_usec 9\n",
    "c/cpu.pressure":
      "some avg10=1.50 avg60=0.25 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    "c/memory.stat":
      "anon 100\nfile 200\nthp_fault_alloc 6\nworkingset_refault_anon 1\nworkingset_refault_file 2\nworkingset_activate 9\n",
    "c/memory.current": "300\n",
    "c/memory.max": "max\n",
    "c/memory.swap.max": "0\n",
    "c/memory.peak": "400\n",
    "c/memory.events": "low 0\nhigh 1\nmax 2\noom 3\noom_kill 4\noom_group_kill 5\n",
    "c/io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n8:16 \n254:0 rbytes=7\n",
    "c/hugetlb.2MB.current": "2097152\n",
    "c/hugetlb.2MB.max": "max\n",
    "c/hugetlb.2MB.events": "max 3\n",
    "hugepages/hugepages-2048kB/nr": "",
    "c/rdma.current": "mlx5_0 hca_handle=1 hca_object=2\nbroken\n",
  });
  assert.deepEqual(stats.pids, { current: 4n, limit: max });
  assert.deepEqual(stats.cpu, {
    usageUsec: 10n,
    userUsec: 6n,
    systemUsec: 4n,
    nrPeriods: 1n,
    nrThrottled: 2n,
    throttledUsec: 3n,
    psi: {
      some: { avg10: 1.5, avg60: 0.25, avg300: 0, total: 77n },
      full: { avg10: 0, avg60: 0, avg300: 0, total: 0n },
    },
    nrBursts: 8n,
    burstUsec: 9n,
  });
  const { memory } = stats;
  assert.deepEqual(
    [memory?.anon, memory?.file, memory?.thpFaultAlloc, memory?.workingsetRefault, memory?.workingsetActivate],
    [100n, 200n, 6n, 3n, 9n],
  );
  assert.deepEqual([memory?.usage, memory?.usageLimit, memory?.swapLimit, memory?.maxUsage], [300n, max, 0n, 400n]);
  assert.equal(memory?.psi, undefined);
  assert.deepEqual(stats.memoryEvents, { low: 0n, high: 1n, max: 2n, oom: 3n, oomKill: 4n, oomGroupKill: 5n });
  assert.deepEqual(stats.io?.usage, [
    { major: 8n, minor: 0n, rbytes: 1n, wbytes: 2n, rios: 3n, wios: 4n },
    { major: 254n, minor: 0n, rbytes: 7n, wbytes: 0n, rios: 0n, wios: 0n },
  ]);
  assert.deepEqual(stats.hugetlb, [{ current: 2097152n, max, pagesize: "2MB", failcnt: 3n }]);
  assert.deepEqual(stats.rdma?.current[0], { device: "mlx5_0", hcaHandles: 1, hcaObjects: 2 });
});

test("stats: version 2, of a cgroup that is gone there are zeros and no error", async (t) => {
  const stats = await statsV2(t, {});
  assert.deepEqual([stats.pids?.current, stats.cpu?.usageUsec, stats.memoryEvents], [0n, 0n, undefined]);
});
