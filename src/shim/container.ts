// One container: its init, its execs, its mounts and its cgroup, and everything that can be asked of it. The state table
// decides what is allowed; this file does it. No answer waits for another's work: a request that must not overlap with
// one under way is refused, joined or put behind it, as the table says.

import type { Cgroup } from "../cgroup/cgroup.ts";
import type { CheckpointOptions } from "../api/runc-options.ts";
import type { Mount } from "../api/types.ts";
import type { Spec } from "../oci/bundle.ts";
import type { CallGate } from "../oci/call-gate.ts";
import type { RuntimeOptions } from "../oci/options.ts";
import { executedWithinMs, ExecutionWatch } from "../oci/process-image.ts";
import type { Runtime } from "../oci/runtime.ts";
import type { Exit } from "../reaper/reaper.ts";
import { MoorError } from "../sys/error.ts";
import { SIGKILL } from "../sys/flags.ts";
import { passGate } from "../sys/gates.ts";
import type { Pid } from "../sys/sys.d.ts";
import { ContainerCgroup } from "./container-cgroup.ts";
import type { Peer, ShimContext } from "./context.ts";
import { deleteExec, deleteInit, killForDelete } from "./deletions.ts";
import { Exec, ExecMemory, type ExecRequest, makeExec, startExec } from "./execs.ts";
import { type ExitRecord, ExitRecords } from "./exit-records.ts";
import { announceExecExit, announceInitExit, type ExitContext } from "./exits.ts";
import { killRest, noteOutOfMemory, recordExit } from "./exits.ts";
import { Freezing } from "./freezing.ts";
import { History } from "./history.ts";
import { shown } from "./identifier.ts";
import type { Part } from "./keeper.ts";
import { keptExec, keptInit, type KeptInit } from "./kept-records.ts";
import { noOutcome, type Outcome, type Process } from "./process.ts";
import { listProcesses, type ProcessInfo } from "./process-list.ts";
import { startCreated } from "./start-created.ts";
import { TaskEvents } from "./task-events.ts";

/** What Create has made. */
export interface ContainerSetup {
  readonly id: string;
  readonly bundle: string;
  /** Where the root file system is mounted; "" when the daemon asked for no mount. */
  readonly mountedRootfs: string;
  readonly spec: Spec;
  readonly options: RuntimeOptions;
  readonly runtime: Runtime;
  readonly init: Process;
  /** Restores a container in the place of starting one; absent otherwise. */
  readonly restore: ((onExit: (exit: Exit) => void) => Promise<void>) | undefined;
  /** Of the whole shim: who starts a process takes a turn. */
  readonly gate: CallGate;
  /** The record of all this. */
  readonly part: Part;
}

const longestSignal = 64;

export class Container {
  readonly setup: ContainerSetup;
  readonly execs = new Map<string, Exec>();
  readonly cgroup: ContainerCgroup;
  readonly freezing: Freezing;
  readonly history: History;
  readonly #execMemory = new ExecMemory();
  readonly #context: ShimContext;
  readonly #events: TaskEvents;
  readonly #exits: ExitContext;
  /** Exits that came while a start was under way, which is told first. */
  readonly #early = new Map<Process, Exit>();
  /** The daemon has been told that it is there, and not that it is gone. */
  #isTold = false;
  /** Whether init has gone on from where Create has left it. */
  #watch: ExecutionWatch | undefined;
  /** The delete under way, for those who ask for the same. */
  #deleting: Promise<unknown> | undefined;
  /** Called when the container's init has been announced as ended. */
  onEnded: () => void = () => undefined;

  constructor(context: ShimContext, setup: ContainerSetup) {
    this.#context = context;
    this.setup = setup;
    this.#events = new TaskEvents(context.events);
    this.cgroup = new ContainerCgroup(context, setup.init, () => {
      noteOutOfMemory(this.#exits, this.init, this.history);
    });
    this.freezing = new Freezing(setup, this.#events, this.cgroup);
    const { sys, log } = context;
    this.history = new History(sys);
    this.history.follow(setup.init);
    this.#exits = { sys, log, events: this.#events, records: new ExitRecords(sys, setup.bundle) };
  }

  get id(): string {
    return this.setup.id;
  }

  get init(): Process {
    return this.setup.init;
  }

  /** @throws MoorError not_found. */
  process(execId: string): Process {
    if (execId === "") return this.init;
    const exec = this.execs.get(execId);
    if (exec === undefined) {
      throw new MoorError("not_found", `container ${this.id} has no exec ${shown(execId)}`);
    }
    return exec;
  }

  /** Init's process exists from now on: its cgroup is looked up and watched. */
  adopt(): void {
    const { owned } = this.init;
    if (owned !== undefined) this.#watch = new ExecutionWatch(this.#context.sys, owned);
    this.cgroup.find();
  }

  /** Create has done all it had to do: it is told, and so is an exit that has come meanwhile. */
  created(rootfs: readonly Mount[], checkpoint: string): void {
    // From here on the container is made, whatever happens to the answer.
    this.#isTold = true;
    this.#keepInit();
    this.#events.created(this.init.data, this.setup.bundle, rootfs, checkpoint);
    this.#tellEarly(this.init);
  }

  #keepInit(): void {
    const { init, cgroup } = this;
    const plain = (): unknown => keptInit(init, cgroup.known?.data, cgroup.keepWatch(), this.#watch?.keep());
    init.part = this.#context.keeper.part(plain);
  }

  #keepExec(exec: Exec): void {
    this.history.follow(exec);
    exec.part = this.#context.keeper.part(() => keptExec(exec));
  }

  /** Is again what it was in the image before; `records` are those exits that it has written down. */
  goOn(kept: KeptInit, execs: readonly Exec[], records: ReadonlyMap<string, ExitRecord>): void {
    this.#isTold = kept.told !== "delete";
    this.#exits.records.goOn(records);
    this.cgroup.goOn(kept.cgroup, kept.oom);
    this.#keepInit();
    for (const exec of execs) {
      this.execs.set(exec.data.execId, exec);
      this.#keepExec(exec);
    }
  }

  /** As above, once init's process is found again. */
  goOnWatching({ image }: KeptInit): void {
    const { owned } = this.init;
    if (owned !== undefined && image !== undefined) this.#watch = new ExecutionWatch(this.#context.sys, owned, image);
  }

  /** A start of the image before, whose call was cut short, has this outcome; init's is asked of the kernel. */
  async startSettled(process: Process): Promise<void> {
    const isStarted = process === this.init && (await this.#watch?.executedWithin(executedWithinMs)) === true;
    if (isStarted) this.#tellStart(process);
    else {
      process.happened("startFailed");
      if (process.data.pid === 0) this.#forgetStart(process);
    }
    this.#tellEarly(process);
  }

  /** It is deleted, and its client is about to be told. */
  forget(): void {
    this.setup.part.remove();
    this.init.part.remove();
    for (const exec of this.execs.values()) exec.part.remove();
  }

  /** @returns the pid. @throws MoorError with the runtime's cause. */
  async start(execId: string): Promise<Pid> {
    const process = this.process(execId);
    if (process instanceof Exec) {
      this.init.check("startExec");
      process.ask("start");
      GATE: passGate(this.#context.sys, "exec.asked");
      const whenEnded = (exit: Exit): void => this.exited(process, exit);
      await this.#starting(process, (tell) =>
        this.setup.gate.run(() => startExec(this.#place(), process, whenEnded, tell)),
      );
    } else {
      process.ask("start");
      GATE: passGate(this.#context.sys, "start.asked");
      const { restore } = this.setup;
      await this.#starting(process, async (tell) => {
        if (restore === undefined) await startCreated(this.#context, this.setup, this.#watch);
        else {
          await restore((exit) => this.exited(process, exit));
          this.adopt();
        }
        tell();
      });
    }
    GATE: passGate(this.#context.sys, execId === "" ? "start.answering" : "exec.answering");
    return process.data.pid;
  }

  async #starting(process: Process, run: (tell: () => void) => Promise<void>): Promise<void> {
    try {
      process.data.startFailed = false;
      await run(() => this.#tellStart(process));
    } catch (thrown) {
      process.happened("startFailed");
      this.history.failed(process, thrown);
      // Without a process there will be no exit, so those who wait for one are answered now.
      if (process.data.pid === 0) this.#forgetStart(process);
      throw thrown;
    } finally {
      this.#tellEarly(process);
    }
  }

  // An exec may take longer to start than init's exit waits for it: then it is none any more.
  #tellStart(process: Process): void {
    if (process !== this.init && this.init.outcome !== undefined) {
      throw new MoorError("failed_precondition", `start ${process.name}: its container has exited meanwhile`);
    }
    process.happened("started");
    this.#events.started(process.data);
    // What init has left alive may have been killed already: this one came after that.
    if (process !== this.init && this.init.data.exitStatus !== undefined) process.owned?.signal(SIGKILL);
    GATE: passGate(this.#context.sys, process === this.init ? "start.told" : "exec.told");
  }

  // The exit of a process that came of it all the same was nobody's news: a later answer must not tell of it.
  #forgetStart(process: Process): void {
    this.#early.delete(process);
    process.data.exitStatus = undefined;
    process.data.exitedAtNs = undefined;
    process.failStart();
  }

  #tellEarly(process: Process): void {
    const early = this.#early.get(process);
    if (early !== undefined && this.#early.delete(process)) this.exited(process, early);
  }

  /** An exit was seen (called by the reaper, before the pid is free), or is known from the image before and was not told. */
  exited(process: Process, exit: Exit): void {
    GATE: passGate(this.#context.sys, process === this.init ? "exit.seen" : "exec-exit.seen");
    process.setExit(exit);
    if (process === this.init) this.#watch?.ended();
    if (!this.#isTold || process.happened("exited").kind === "later") {
      this.#early.set(process, exit);
      return;
    }
    if (process.data.state !== "exiting") return;
    recordExit(this.#exits, process);
    if (process.data.kind === "exec") void announceExecExit(this.#exits, process);
    else void this.#initEnded(process);
  }

  async #initEnded(init: Process): Promise<void> {
    await announceInitExit(
      this.#exits,
      init,
      () => [...this.execs.values()],
      () => killRest(this.#exits, this.setup, this.execs.values()),
      () => this.cgroup.check(),
    );
    this.cgroup.stop();
    this.onEnded();
  }

  /** @throws MoorError. */
  addExec(request: ExecRequest): void {
    this.init.check("exec");
    if (this.execs.has(request.execId)) {
      throw new MoorError("already_exists", `add exec ${request.execId} to container ${this.id}: it is there already`);
    }
    const exec = makeExec(this.#place(), request);
    this.#execMemory.admit(exec, this.execs.values());
    this.execs.set(request.execId, exec);
    this.#keepExec(exec);
    this.#events.execAdded(exec.data);
    GATE: passGate(this.#context.sys, "exec.added");
  }

  /**
   * @param all every process of the container; of an exec it concerns the exec alone.
   * @throws MoorError.
   */
  async kill(execId: string, signal: number, all: boolean, peer?: Peer): Promise<void> {
    const process = this.process(execId);
    if (!Number.isInteger(signal) || signal < 0 || signal > longestSignal) {
      throw new MoorError("invalid_argument", `kill ${process.name}: there is no signal ${signal}`);
    }
    process.ask("kill");
    if (signal !== 0) this.history.asked(process, signal, all, peer);
    const isForAll = all && process === this.init && process.owned !== undefined;
    const cgroup = isForAll ? this.cgroup.lookFor() : undefined;
    if (isForAll && cgroup === undefined) await this.setup.runtime.kill(this.id, signal, true);
    else if (!(isForAll ? cgroup?.signalAll(signal) : process.owned?.signal(signal))) throw process.notSignalled();
    if (signal === SIGKILL) this.cgroup.thaw("that was killed");
    GATE: passGate(this.#context.sys, "kill.sent");
  }

  pause(): Promise<void> {
    return this.freezing.pause();
  }

  resume(): Promise<void> {
    return this.freezing.resume();
  }

  /** resourcesJson: OCI LinuxResources, checked to be a JSON object. */
  async update(resourcesJson: string): Promise<void> {
    this.init.check("update");
    await this.setup.runtime.update(this.id, resourcesJson);
  }

  async checkpoint(path: string, options: CheckpointOptions | undefined): Promise<void> {
    this.init.check("checkpoint");
    const { exit = false, imagePath: wantedPath = "", ...criu } = options ?? {};
    // containerd reads the client's image path out of its own runtime's options only, and sends us a path of its making.
    const imagePath = wantedPath === "" ? path : wantedPath;
    await this.setup.runtime.checkpoint(this.id, { ...criu, imagePath, leaveRunning: !exit });
    if (this.#isTold) this.#events.checkpointed(this.id, imagePath);
  }

  /** In character cells. @throws MoorError. */
  resize(execId: string, columns: number, rows: number): void {
    const process = this.process(execId);
    process.checkResize(columns, rows);
    if (process.stdio !== undefined) process.stdio.resize(columns, rows);
    else if (process instanceof Exec) process.wantedSize = { columns, rows };
    process.part.touch();
  }

  closeStdin(execId: string): void {
    const process = this.process(execId);
    process.ask("closeIo");
    if (process.stdio !== undefined) process.stdio.closeStdin();
    else if (process instanceof Exec) process.stdinClosed = true;
    process.part.touch();
  }

  pids(): readonly ProcessInfo[] {
    return listProcesses(this.cgroup.lookFor(), this.init, this.execs.values());
  }

  stats(): Promise<{ typeUrl: string; value: Uint8Array }> {
    return this.cgroup.stats();
  }

  /** @returns how it ended. @throws MoorError; nothing is deleted then. */
  async delete(execId: string): Promise<Outcome> {
    const process = this.process(execId);
    for (;;) {
      const cell = process.ask("delete");
      if (cell.kind === "to") break;
      if (cell.kind === "join") {
        await this.#deleting;
        return process.outcome ?? noOutcome;
      }
      if (cell.kind === "killFirst") await killForDelete(this.#context, process);
      else await process.settled();
    }
    GATE: passGate(this.#context.sys, process instanceof Exec ? "exec-delete.asked" : "delete.asked");
    const deleting = process instanceof Exec ? this.#deleteExec(process) : this.#deleteInit();
    if (!(process instanceof Exec)) this.#deleting = deleting;
    try {
      await deleting;
    } catch (thrown) {
      process.happened("deleteFailed");
      throw thrown;
    }
    process.happened("deleted");
    return process.outcome ?? noOutcome;
  }

  async #deleteExec(exec: Exec): Promise<void> {
    deleteExec(this.#context, this.setup, this.execs, this.#exits.records, exec);
  }

  async #deleteInit(): Promise<void> {
    await deleteInit(this.#context, this.setup, this.execs);
    const { data, part } = this.init;
    if (data.told !== "delete") {
      data.told = "delete";
      part.touch();
      this.#events.deleted(data);
    }
    this.#isTold = false;
    this.cgroup.stop();
    GATE: passGate(this.#context.sys, "delete.told");
  }

  /** Where its cgroup is, once that is known. */
  get cgroupData(): Cgroup["data"] | undefined {
    return this.cgroup.known?.data;
  }

  #place() {
    const { bundle, options, runtime } = this.setup;
    const initPid = this.init.owned?.exit === undefined ? this.init.data.pid : (0 as Pid);
    return { context: this.#context, containerId: this.id, bundle, options, runtime, initPid };
  }
}
