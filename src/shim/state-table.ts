// The one table of a process's life: for each state and each thing that can be asked or can happen, the next state or
// the refusal with its code. Pure: no I/O, no time. Whoever holds a process asks `next` and obeys; nobody else compares
// states to decide what is allowed. docs/state-machine.md is printed from it by a test.

import type { ErrorCode } from "../sys/error.ts";

/**
 * Where a process is. The moments between have an owner and an end: `starting`, `pausing`, `resuming` and `deleting` end
 * with the runtime call that was made (each has a deadline), `exiting` when the exit has been announced (drain, OOM and
 * the execs' exits come before that; each is bounded).
 */
export type ProcessState =
  | "created"
  | "starting"
  | "running"
  | "pausing"
  | "paused"
  | "resuming"
  | "exiting"
  | "stopped"
  | "deleting"
  | "deleted";

/** What a client may ask of a process. */
export type Request =
  | "start"
  | "pause"
  | "resume"
  | "kill"
  | "exec"
  | "startExec"
  | "update"
  | "checkpoint"
  | "resize"
  | "closeIo"
  | "delete";

/** What may happen to a process. */
export type Happening =
  | "started"
  | "startFailed"
  | "paused"
  | "pauseFailed"
  | "resumed"
  | "resumeFailed"
  | "exited"
  | "announced"
  | "deleted"
  | "deleteFailed";

export type Cell =
  | { readonly kind: "to"; readonly state: ProcessState }
  | { readonly kind: "stay" }
  /** End the process with SIGKILL, wait until its exit has been announced, then ask again. */
  | { readonly kind: "killFirst" }
  /** Wait until the exit has been announced (for a happening: until the start has its outcome), then ask again. */
  | { readonly kind: "later" }
  /** The same is under way already: wait for its outcome and take that. */
  | { readonly kind: "join" }
  | { readonly kind: "no"; readonly code: ErrorCode; readonly why: string };

type Row = Readonly<Record<Request | Happening, Cell>>;
export type Table = Readonly<Record<ProcessState, Row>>;

const stay: Cell = { kind: "stay" };
const later: Cell = { kind: "later" };
const join: Cell = { kind: "join" };
const killFirst: Cell = { kind: "killFirst" };

function to(state: ProcessState): Cell {
  return { kind: "to", state };
}

function no(why: string, code: ErrorCode = "failed_precondition"): Cell {
  return { kind: "no", code, why };
}

/** Clients take NotFound as "it has ended, Wait answers at once"; they match on this text too. */
export const alreadyFinished = "process already finished: not found";
const finished = no(alreadyFinished, "not_found");
const gone = no("it has been deleted", "not_found");
// Something that cannot happen in a state is ignored there: it is the late outcome of a call that was overtaken.
const ignored = stay;

const nothingHappens = {
  started: ignored,
  startFailed: ignored,
  paused: ignored,
  pauseFailed: ignored,
  resumed: ignored,
  resumeFailed: ignored,
  announced: ignored,
  deleted: ignored,
  deleteFailed: ignored,
} as const;

const stoppedRow: Row = {
  ...nothingHappens,
  start: no("it has already exited"),
  pause: no("it has already exited"),
  resume: no("it has already exited"),
  kill: finished,
  exec: no("its container has already exited"),
  startExec: no("its container has already exited"),
  update: stay,
  checkpoint: no("it has already exited"),
  resize: no("it has already exited"),
  // The client's last act is often a CloseIO that crosses the exit: nothing is left to do.
  closeIo: stay,
  exited: ignored,
  delete: to("deleting"),
};

const liveRow: Row = {
  ...nothingHappens,
  start: no("it has been started already"),
  pause: no("it cannot be paused now"),
  resume: no("it is not paused"),
  kill: stay,
  exec: stay,
  startExec: stay,
  update: stay,
  checkpoint: stay,
  resize: stay,
  closeIo: stay,
  exited: to("exiting"),
  delete: no("it is still running"),
};

/** The table for a container's init process. */
export const initTable: Table = {
  created: {
    ...liveRow,
    start: to("starting"),
    pause: no("it has not been started"),
    exec: stay,
    startExec: no("its container has not been started"),
    checkpoint: no("it has not been started"),
    // `runc delete` of a created container does the same, but then its exit would be nobody's.
    delete: killFirst,
  },
  starting: {
    ...liveRow,
    start: no("it is being started"),
    startExec: no("its container is being started"),
    checkpoint: no("it is being started"),
    started: to("running"),
    // The process that `create` left may live on or be dead; its exit, if any, is announced from `created`.
    startFailed: to("created"),
    // The exit is kept until the start has an outcome: it is announced after it.
    exited: later,
  },
  running: { ...liveRow, pause: to("pausing") },
  pausing: {
    ...liveRow,
    pause: join,
    startExec: no("its container is being paused"),
    paused: to("paused"),
    pauseFailed: to("running"),
  },
  paused: {
    ...liveRow,
    pause: no("it is paused already"),
    resume: to("resuming"),
    startExec: no("its container is paused"),
    delete: no("it is paused"),
  },
  resuming: {
    ...liveRow,
    resume: join,
    startExec: no("its container is being resumed"),
    resumed: to("running"),
    resumeFailed: to("paused"),
  },
  exiting: { ...stoppedRow, delete: later, announced: to("stopped") },
  stopped: stoppedRow,
  deleting: { ...stoppedRow, delete: join, deleted: to("deleted"), deleteFailed: to("stopped"), exited: ignored },
  deleted: {
    ...stoppedRow,
    start: gone,
    pause: gone,
    resume: gone,
    exec: gone,
    startExec: gone,
    update: gone,
    checkpoint: gone,
    resize: gone,
    closeIo: gone,
    delete: gone,
  },
};

const notForExecs = no("an exec cannot be paused, resumed, updated or checkpointed", "invalid_argument");
const onlyInit = {
  pause: notForExecs,
  resume: notForExecs,
  update: notForExecs,
  checkpoint: notForExecs,
  exec: notForExecs,
  startExec: notForExecs,
} as const;

/** The table for an exec: a process that is added, started, and ends. It cannot be paused by itself. */
export const execTable: Table = {
  created: {
    ...liveRow,
    ...onlyInit,
    start: to("starting"),
    // Not NotFound: clients of containerd 1.6 would then wait for an exit that never comes.
    kill: no("it has not been started"),
    resize: stay,
    closeIo: stay,
    exited: ignored,
    delete: to("deleting"),
  },
  starting: {
    ...liveRow,
    ...onlyInit,
    start: no("it is being started"),
    kill: no("it is being started"),
    started: to("running"),
    startFailed: to("created"),
    exited: later,
  },
  running: { ...liveRow, ...onlyInit },
  pausing: { ...liveRow, ...onlyInit },
  paused: { ...liveRow, ...onlyInit },
  resuming: { ...liveRow, ...onlyInit },
  exiting: { ...stoppedRow, ...onlyInit, delete: later, announced: to("stopped") },
  stopped: { ...stoppedRow, ...onlyInit },
  deleting: { ...stoppedRow, ...onlyInit, delete: join, deleted: to("deleted"), deleteFailed: to("stopped") },
  deleted: { ...initTable.deleted },
};

/** What the table says about this in that state. */
export function next(table: Table, state: ProcessState, asked: Request | Happening): Cell {
  return table[state][asked];
}
