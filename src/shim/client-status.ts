// The states of processes as clients of the Task API call them.

import { Status } from "../api/process.ts";
import type { Process } from "./process.ts";
import type { ProcessState } from "./state-table.ts";

/** An exit that has not been told yet has not happened for clients. */
const statuses: Readonly<Record<ProcessState, Status>> = {
  created: Status.CREATED,
  starting: Status.CREATED,
  running: Status.RUNNING,
  pausing: Status.PAUSING,
  paused: Status.PAUSED,
  resuming: Status.PAUSED,
  exiting: Status.RUNNING,
  stopped: Status.STOPPED,
  deleting: Status.STOPPED,
  deleted: Status.STOPPED,
};

/** Of a process of the container with this init. */
export function statusOf(init: Process, { kind, state }: Process["data"]): Status {
  // A paused container's execs stand still with it.
  if (kind === "exec" && state === "running") {
    const status = statuses[init.data.state];
    if (status === Status.PAUSED || status === Status.PAUSING) return status;
  }
  return statuses[state];
}
