// Containers made again from the records of the image before, after a crash. First all of them are there, with their
// streams; then their processes are found among our children, exits that nobody was told of included; last, what runtime
// calls have left that the crash cut short is looked up: those calls are ended, and the kernel and the runtime are asked.

import { resumeStdio } from "../io/resumed-stdio.ts";
import type { StdioSetup } from "../io/stdio.ts";
import { Runtime, runtimeConfig } from "../oci/runtime.ts";
import { settledWithin } from "../reaper/deadline.ts";
import { endedProcess } from "../reaper/owned-process.ts";
import type { Exit, OwnedProcess } from "../reaper/reaper.ts";
import { SIGKILL } from "../sys/flags.ts";
import type { ChildExit, Fd, Kept, Pid } from "../sys/sys.d.ts";
import { Container } from "./container.ts";
import { forgetPrivateExecs } from "./control-exec.ts";
import { type KeptContainer, keptContainer, restoreOf } from "./create.ts";
import type { ShimContext } from "./context.ts";
import { Exec, type KeptExec } from "./execs.ts";
import { readExitRecords } from "./exit-records.ts";
import type { KeptInit, KeptLeaving, KeptRecord } from "./kept-records.ts";
import { type KeptProcess, Process } from "./process.ts";
import type { ServingParts } from "./resume.ts";
import type { ProcessState } from "./state-table.ts";
import { settleContainer, takeBackCreate } from "./settle.ts";

/** How long a runtime call that was under way may take to end by itself: one that is killed in the midst leaves half of a thing. */
const endsWithinMs = 3_000;
/** How long one that is killed then may take to be gone. */
const killedWithinMs = 5_000;

export interface ResumedTasks {
  /** Resolves when each container is in a state that is true. Never rejects. */
  readonly settled: Promise<void>;
  /** Fds that are in use. */
  readonly fds: readonly Fd[];
}

/** To be called before anybody looks for exits. */
export function resumeTasks(parts: ServingParts, kept: Kept, records: readonly KeptRecord[]): ResumedTasks {
  return new TaskResumer(parts, kept).run(records);
}

class TaskResumer {
  readonly #parts: ServingParts;
  readonly #context: ShimContext;
  readonly #kept: Kept;
  readonly #reaped: ReadonlyMap<Pid, ChildExit>;
  /** Children that are in somebody's hands. */
  readonly #adopted = new Set<Pid>();
  readonly #fds: Fd[] = [];

  constructor(parts: ServingParts, kept: Kept) {
    this.#parts = parts;
    this.#context = parts.tasks.context;
    this.#kept = kept;
    this.#reaped = new Map(kept.reaped.map((exit) => [exit.pid, exit]));
  }

  run(records: readonly KeptRecord[]): ResumedTasks {
    const containers: { container: Container; init: KeptInit; execs: readonly KeptExec[] }[] = [];
    const halfMade: KeptContainer[] = [];
    for (const record of records) {
      if (record.kind === "leaving") this.#goOnLeaving(record);
      if (record.kind !== "container") continue;
      const ofIt = <K extends "init" | "exec">(kind: K) =>
        records.filter(
          (each): each is Extract<KeptRecord, { kind: K }> => each.kind === kind && each.containerId === record.id,
        );
      const [init] = ofIt("init");
      if (init === undefined) halfMade.push(record);
      else {
        const execs = ofIt("exec");
        containers.push({ container: this.#makeContainer(record, init, execs), init, execs });
      }
    }
    for (const { container } of containers) this.#parts.tasks.goOnWith(container);
    for (const { container, init } of containers) {
      this.#findProcess(container, container.init);
      container.goOnWatching(init);
      for (const exec of container.execs.values()) this.#findProcess(container, exec);
    }
    const ended = this.#endInterrupted();
    const settling: Promise<void>[] = containers.map(({ container }) =>
      ended
        .then(() => settleContainer(this.#context, container))
        .then(() => forgetPrivateExecs({ tasks: this.#parts.tasks, log: this.#context.log }, container)),
    );
    for (const record of halfMade) {
      // Its record stays until nothing is left of it.
      const part = this.#context.keeper.part(() => ({ kind: "container", ...record }));
      const takenBack = ended.then(() => takeBackCreate(this.#context, record)).finally(() => part.remove());
      this.#parts.tasks.takesBack(record.id, takenBack);
      settling.push(takenBack);
    }
    return { settled: Promise.all(settling).then(() => undefined), fds: this.#fds };
  }

  #makeContainer(record: KeptContainer, keptInit: KeptInit, keptExecs: readonly KeptExec[]): Container {
    const context = this.#context;
    const { sys, log, reaper, namespace, environ, debug, keeper } = context;
    const { id, bundle, mountedRootfs, namespaces, options, checkpoint, parentCheckpoint } = record;
    const runtime = new Runtime(sys, reaper, log, runtimeConfig(options, { namespace, bundle, environ, debug }));
    const init = new Process({ ...keptInit, kind: "init" });
    this.#goOnWith(init, keptInit, record);
    const { gate } = this.#parts.tasks;
    const request = { id, bundle, checkpoint, parentCheckpoint };
    const spec = { process: {}, linux: { namespaces } };
    const container = new Container(context, {
      id,
      bundle,
      mountedRootfs,
      spec,
      options,
      runtime,
      init,
      restore: restoreOf(context, gate, { request, options, runtime, init }),
      gate,
      part: keeper.part(() => keptContainer({ id, bundle, mountedRootfs, spec, options, request })),
    });
    const execs = keptExecs.map((each) => {
      const exec = new Exec(id, { ...each, spec: undefined }, each.specText);
      this.#goOnWith(exec, each, record);
      exec.wantedSize = each.wantedSize;
      exec.stdinClosed = each.stdinClosed;
      return exec;
    });
    if (keptInit.oom !== undefined) this.#fds.push(keptInit.oom.fd);
    container.goOn(keptInit, execs, readExitRecords(sys, bundle));
    return container;
  }

  #goOnWith(process: Process, kept: KeptProcess, { bundle, options }: KeptContainer): void {
    process.goOn(kept);
    if (kept.stdio === undefined) return;
    const { sys, reaper, log } = this.#context;
    const context = { sys, reaper, log, changed: () => process.part.touch() };
    const setup = this.#stdioSetup(kept, bundle, options.ioUid, options.ioGid);
    process.stdio = resumeStdio(context, setup, kept.stdio, (pid) => this.#adopt(pid));
    this.#fds.push(...process.stdio.fds);
  }

  #stdioSetup(of: Omit<KeptLeaving, "bundle" | "stdio">, bundle: string, ioUid = 0, ioGid = 0): StdioSetup {
    const { namespace, environ } = this.#context;
    const { containerId, execId, stdin, stdout, stderr, terminal } = of;
    return { containerId, execId, namespace, bundle, stdin, stdout, stderr, terminal, ioUid, ioGid, environ };
  }

  #goOnLeaving(record: KeptLeaving): void {
    if (record.stdio === undefined) return;
    const { sys, reaper, log } = this.#context;
    const setup = this.#stdioSetup(record, record.bundle);
    const stdio = resumeStdio({ sys, reaper, log }, setup, record.stdio, (pid) => this.#adopt(pid));
    stdio.release();
    this.#parts.tasks.leaving.follow(stdio, record, record.bundle);
  }

  #adopt(pid: Pid, onExit?: (exit: Exit) => void): OwnedProcess {
    this.#adopted.add(pid);
    return this.#context.reaper.adopt(pid, onExit, this.#reaped.get(pid));
  }

  /** Makes the process its own again, and goes on with an exit that is known and was not told. */
  #findProcess(container: Container, process: Process): void {
    const { pid, state, exitStatus: status, exitedAtNs: atNs } = process.data;
    if (pid === 0) return;
    if (status !== undefined && atNs !== undefined) {
      const exit: Exit = { pid, status, signal: status > 128 ? status - 128 : 0, atNs };
      process.owned = endedProcess(exit);
      if (!isAnnounced(state)) container.exited(process, exit);
      return;
    }
    // An exec whose start was cut short is ended: of its exit nobody is told.
    const isCutShort = process instanceof Exec && state === "starting";
    process.owned = this.#adopt(pid, isCutShort ? undefined : (exit) => container.exited(process, exit));
  }

  /** Runtime calls, helpers and loggers that were not ready: nobody waits for their outcome any more. */
  async #endInterrupted(): Promise<void> {
    const { sys, reaper } = this.#context;
    const left = this.#kept.spawned.map(({ pid }) => pid).filter((pid) => !this.#adopted.has(pid));
    const children = left.map((pid) => reaper.adopt(pid, undefined, this.#reaped.get(pid)));
    const ended = Promise.all(children.map(({ exited }) => exited));
    if (await settledWithin(sys, endsWithinMs, ended)) return;
    for (const child of children) {
      // Not reaped, so its pid is its own, and with it its group's id where it leads one.
      if (child.exit === undefined) sys.kill(-child.pid, SIGKILL);
      child.signal(SIGKILL);
    }
    if (await settledWithin(sys, killedWithinMs, ended)) return;
    this.#context.log.error("a killed runtime does not end", { pids: left.join(" ") });
  }
}

function isAnnounced(state: ProcessState): boolean {
  return state === "stopped" || state === "deleting" || state === "deleted";
}
