// The events of tasks, one function each: what happened, as the message that the daemon knows it by.

import type { Mount } from "../api/types.ts";
import {
  TaskCheckpointed,
  TaskCreate,
  TaskDelete,
  TaskExecAdded,
  TaskExecStarted,
  TaskExit,
  TaskOOM,
  TaskPaused,
  TaskResumed,
  TaskStart,
} from "../api/task-events.ts";
import type { EventStream } from "./context.ts";
import type { ProcessData } from "./process.ts";
import { noTime, wireTime } from "./time.ts";

/** Publishes into one stream. Of private execs nothing is told: daemons know of none that they have not asked for. */
export class TaskEvents {
  readonly #stream: EventStream;

  constructor(stream: EventStream) {
    this.#stream = stream;
  }

  created(init: ProcessData, bundle: string, rootfs: readonly Mount[], checkpoint: string): void {
    const { containerId, pid, stdin, stdout, stderr, terminal } = init;
    const io = { stdin, stdout, stderr, terminal };
    const message = { containerId, bundle, rootfs: [...rootfs], io, checkpoint, pid };
    this.#stream.publish("/tasks/create", "containerd.events.TaskCreate", TaskCreate.encode(message).finish());
  }

  /** Of init or an exec. */
  started({ kind, containerId, execId, pid, isPrivate }: ProcessData): void {
    if (isPrivate === true) return;
    if (kind === "init") {
      const message = TaskStart.encode({ containerId, pid }).finish();
      this.#stream.publish("/tasks/start", "containerd.events.TaskStart", message);
    } else {
      const message = TaskExecStarted.encode({ containerId, execId, pid }).finish();
      this.#stream.publish("/tasks/exec-started", "containerd.events.TaskExecStarted", message);
    }
  }

  execAdded({ containerId, execId, isPrivate }: ProcessData): void {
    if (isPrivate === true) return;
    const message = TaskExecAdded.encode({ containerId, execId }).finish();
    this.#stream.publish("/tasks/exec-added", "containerd.events.TaskExecAdded", message);
  }

  /** Of init or an exec, whose exit is known. */
  exited({ containerId, execId, pid, exitStatus, exitedAtNs, isPrivate }: ProcessData): void {
    if (isPrivate === true) return;
    const message = {
      containerId,
      id: execId === "" ? containerId : execId,
      pid,
      exitStatus: exitStatus ?? 255,
      exitedAt: exitedAtNs === undefined ? noTime : wireTime(exitedAtNs),
    };
    this.#stream.publish("/tasks/exit", "containerd.events.TaskExit", TaskExit.encode(message).finish());
  }

  /** Of a container; nothing tells of a deleted exec. */
  deleted({ containerId, pid, exitStatus, exitedAtNs }: ProcessData): void {
    const exitedAt = exitedAtNs === undefined ? noTime : wireTime(exitedAtNs);
    const message = { containerId, pid, exitStatus: exitStatus ?? 0, exitedAt, id: "" };
    this.#stream.publish("/tasks/delete", "containerd.events.TaskDelete", TaskDelete.encode(message).finish());
  }

  outOfMemory(containerId: string): void {
    this.#stream.publish("/tasks/oom", "containerd.events.TaskOOM", TaskOOM.encode({ containerId }).finish());
  }

  paused(containerId: string): void {
    this.#stream.publish("/tasks/paused", "containerd.events.TaskPaused", TaskPaused.encode({ containerId }).finish());
  }

  resumed(containerId: string): void {
    const message = TaskResumed.encode({ containerId }).finish();
    this.#stream.publish("/tasks/resumed", "containerd.events.TaskResumed", message);
  }

  checkpointed(containerId: string, checkpoint: string): void {
    const message = TaskCheckpointed.encode({ containerId, checkpoint }).finish();
    this.#stream.publish("/tasks/checkpointed", "containerd.events.TaskCheckpointed", message);
  }
}
