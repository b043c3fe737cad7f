// Gates: the numbered steps of a shim's and a container's life at which a test can make the shim stand still, to kill it,
// the daemon or the runtime just there. A gate is a statement with the label GATE; the build of the shim drops all of them
// (scripts/build-shim.mjs), and only build/containerd-shim-moor-v2-gates, which nobody installs, keeps them.

import { O_CREAT, O_TRUNC } from "./flags.ts";
import type { Sys } from "./sys.d.ts";

/** Each step, in the order in which a life comes by, and what has just been done there. */
export const gates = {
  // The action `start`.
  "launch.locked": "the socket's folder is locked, nobody serves the group",
  "launch.bound": "the socket is bound, the address is in the bundle",
  "launch.forked": "the child runs and is nothing of its own yet",
  "launch.listening": "the child is a daemon and listens; its parent does not know yet",
  "launch.ready": "the parent is told; nothing is served yet",
  "launch.serving": "all is wired; the event loop has not run",
  "launch.answering": "the parent is about to print the address",
  // Create.
  "create.asked": "the request is taken",
  "create.noted": "options and address are in the bundle",
  "create.mounted": "the root file system is mounted",
  "create.opened": "the streams are open",
  "create.spawned": "the runtime runs",
  "create.ended": "the runtime has ended; its pid file is not read yet",
  "create.claimed": "init is owned by the reaper",
  "create.attached": "the pumps run",
  "create.told": "TaskCreate is queued",
  "create.answering": "the answer is about to be sent",
  // Start of init.
  "start.asked": "the state is `starting`",
  "start.spawned": "the runtime runs",
  "start.ended": "the runtime has ended",
  "start.told": "the state is `running`, TaskStart is queued",
  "start.answering": "the answer is about to be sent",
  // Exec, and the start of it.
  "exec.added": "TaskExecAdded is queued",
  "exec.asked": "the state is `starting`",
  "exec.opened": "the streams are open",
  "exec.spawned": "the runtime runs",
  "exec.ended": "the runtime has ended; its pid file is not read yet",
  "exec.claimed": "the process is owned by the reaper",
  "exec.attached": "the pumps run",
  "exec.told": "the state is `running`, TaskExecStarted is queued",
  "exec.answering": "the answer is about to be sent",
  // Kill.
  "kill.sent": "the signal is sent, the answer is not",
  // The exit of an exec.
  "exec-exit.seen": "the zombie is peeked at; it is not reaped, nobody is told",
  "exec-exit.recorded": "the record is in the bundle",
  "exec-exit.drained": "its output is in the FIFO",
  "exec-exit.told": "TaskExit is queued",
  "exec-exit.answered": "those who wait have been answered",
  // Delete of an exec.
  "exec-delete.asked": "the state is `deleting`",
  "exec-delete.answering": "nothing of it is left, the answer is about to be sent",
  // The exit of init.
  "exit.seen": "the zombie is peeked at; it is not reaped, nobody is told",
  "exit.recorded": "the record is in the bundle",
  "exit.reaped": "the zombie is gone (of any child: to be armed when init is the next to end)",
  "exit.drained": "what is left is killed, the execs are told, its output is in the FIFO",
  "exit.told": "TaskExit is queued",
  "exit.answered": "those who wait have been answered",
  // Delete of the container.
  "delete.asked": "the state is `deleting`",
  "delete.spawned": "the runtime runs",
  "delete.ended": "the runtime has ended",
  "delete.unmounted": "the root file system is unmounted",
  "delete.told": "TaskDelete is queued",
  "delete.answering": "the answer is about to be sent",
  // An event on its way to the daemon.
  "event.sending": "it is about to be sent",
  "event.taken": "the daemon has taken it; it is still in the queue",
  // Shutdown.
  "shutdown.asked": "the shim is about to leave; its socket is there",
  "shutdown.unlinked": "the socket is gone",
  "shutdown.settled": "answers, events and output had their time",
  "shutdown.left": "what the daemon has not taken is on disk",
  // The action `delete`.
  "remains.begun": "nothing is done yet",
  "remains.deleted": "the runtime has forgotten the container, its cgroups are gone",
  "remains.unmounted": "the root file system is unmounted",
  "remains.unlinked": "the socket is gone; the answer is about to be printed",
} as const;

export type Gate = keyof typeof gates;

/** Names the folder in the environment of the shim. */
const variable = "MOOR_GATES=";
const pauseMs = 1;

/**
 * Stands still, with the whole process, when the folder of gates holds the file `NAME.armed`: that file goes, so that each
 * arming stops one process once, `NAME.reached` holds the pid, and the process goes on when that is removed.
 * @param name that of a runtime's command which is not in the table stops nobody.
 */
export function passGate(sys: Sys, name: Gate | `${string}.spawned` | `${string}.ended`): void {
  const folder = sys.environ.find((entry) => entry.startsWith(variable))?.slice(variable.length);
  if (folder === undefined) return;
  const path = `${folder}/${name}`;
  if (sys.rename(`${path}.armed`, `${path}.new`) !== 0) return;
  sys.writeText(`${path}.new`, String(sys.getpid()), O_CREAT | O_TRUNC, 0o600);
  sys.rename(`${path}.new`, `${path}.reached`);
  while (sys.access(`${path}.reached`, 0) === 0) sys.sleepMs(pauseMs);
}
