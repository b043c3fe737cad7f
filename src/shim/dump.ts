// What the state dump says about one container: plain data, as JSON has it.

import type { Container } from "./container.ts";

/** Everything known of the container and its processes. */
export function dumpContainer({ id, setup, init, execs, cgroupData }: Container): Readonly<Record<string, unknown>> {
  const processes = [init, ...execs.values()].map(({ data, stdio }) => ({
    ...data,
    // JSON has no integers of 64 bits.
    exitedAtNs: data.exitedAtNs?.toString(),
    streams: stdio?.state() ?? [],
  }));
  const { bundle, mountedRootfs, options } = setup;
  return { id, bundle, mountedRootfs, options, cgroup: cgroupData, processes };
}
