// What the state dump says about one container: plain data, as JSON has it.

import type { Container } from "./container.ts";

/** Everything known of the container and its processes. */
export function dumpContainer({
  id,
  setup,
  init,
  execs,
  cgroupData,
  history,
}: Container): Readonly<Record<string, unknown>> {
  const processes = [init, ...execs.values()].map(({ data, stdio }) => ({
    ...data,
    // JSON has no integers of 64 bits.
    exitedAtNs: data.exitedAtNs?.toString(),
    terminalSize: stdio?.terminalSize,
    streams: stdio?.state() ?? [],
  }));
  const { bundle, mountedRootfs, options } = setup;
  const steps = { history: history.list(), runtimeCalls: setup.runtime.history.list() };
  return { id, bundle, mountedRootfs, options, cgroup: cgroupData, processes, ...steps };
}
