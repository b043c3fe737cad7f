// The processes of a container as its shim names them: which are its init, which execs, which neither.

import type { ProcessInfo } from "../api/process.ts";
import { ProcessDetails } from "../api/runc-options.ts";

/** The exec that a process was started as; "" for init and for what they have started. */
export function execIdOf({ info }: ProcessInfo): string {
  return info?.typeUrl.endsWith("ProcessDetails") === true ? ProcessDetails.decode(info.value).execId : "";
}

/** The ids of all execs that run, sorted. */
export function execIdsOf(processes: readonly ProcessInfo[]): string[] {
  return [...new Set(processes.map(execIdOf).filter((id) => id !== ""))].sort();
}
