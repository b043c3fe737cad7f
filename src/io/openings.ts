// What has to be open before the runtime runs: the process's ends of its pipes, and the streams behind them. It owns all of
// it until the runtime call has succeeded or failed.

import type { Reaper } from "../reaper/reaper.ts";
import { must } from "../sys/error.ts";
import { O_WRONLY } from "../sys/flags.ts";
import type { Log } from "../sys/log.ts";
import type { Fd, FdMapping, Sys } from "../sys/sys.d.ts";
import { type Endpoint, openInputPath, openLogFile, openOutputPath } from "./endpoints.ts";
import { type Logger, startLogger } from "./logger.ts";
import { type LoggerPlan, planStdio, type StdioPlan, type StreamPlan } from "./plan.ts";
import { Stream, type StreamName } from "./stream.ts";

export interface StdioContext {
  readonly sys: Sys;
  readonly reaper: Pick<Reaper, "spawn">;
  readonly log: Log;
  /** Called whenever what keep() gives has changed. */
  readonly changed?: () => void;
}

export interface StdioSetup {
  readonly containerId: string;
  /** "" for init. */
  readonly execId: string;
  readonly namespace: string;
  readonly bundle: string;
  /** "": none, the process has /dev/null. Else see plan.ts. */
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
  /** Owner of the process's ends of the pipes. */
  readonly ioUid: number;
  readonly ioGid: number;
  /** The shim's own; a logger gets its PATH. */
  readonly environ: readonly string[];
}

export interface OpenStream {
  readonly stream: Stream;
  /** The process outlives the loss of this target: nobody who could mend it sees an error. */
  readonly survives: boolean;
}

export class Openings {
  readonly streams: OpenStream[] = [];
  logger: Logger | undefined;
  readonly #context: StdioContext;
  readonly #setup: StdioSetup;
  #childFds: FdMapping[] = [];

  constructor(context: StdioContext, setup: StdioSetup) {
    this.#context = context;
    this.#setup = setup;
  }

  /** 0, 1 and 2 of the process, as long as they are open here. */
  get childFds(): readonly FdMapping[] {
    return this.#childFds;
  }

  /**
   * Opens everything, the loggers ready.
   * @throws MoorError; the caller then calls close.
   */
  async open(): Promise<void> {
    const plan = planStdio(this.#setup);
    this.#openInput(plan.stdin);
    if (plan.stdout.kind === "logger") {
      await this.#openLogger(plan.stdout);
      return;
    }
    if (this.#setup.terminal) {
      this.#addOutput("stdout", plan.stdout, undefined);
      return;
    }
    this.#openOutputs(plan);
  }

  /** The process has its own by now, or will never need them. */
  closeChildFds(): void {
    for (const { source } of this.#childFds) this.#context.sys.close(source);
    this.#childFds = [];
  }

  /** Undoes it all. Any number of times. */
  close(): void {
    this.closeChildFds();
    for (const { stream } of this.streams) stream.stop();
    this.logger?.dismiss(0);
  }

  #openInput(plan: StreamPlan): void {
    if (plan.kind !== "path") return;
    const { sys } = this.#context;
    const { fd: source, kept } = openInputPath(sys, plan.path);
    const stream = this.#add("stdin", { source, ...(kept === undefined ? {} : { kept }) }, false);
    if (this.#setup.terminal) return;
    const [childFd, target] = this.#childPipe("stdin", 0);
    this.#childFds.push({ target: 0, source: childFd });
    stream.setTarget(target);
  }

  #openOutputs(plan: StdioPlan): void {
    for (const [target, name] of [
      [1, "stdout"],
      [2, "stderr"],
    ] as const) {
      if (plan[name].kind === "none") continue;
      const [source, childFd] = this.#childPipe(name, 1);
      this.#childFds.push({ target, source: childFd });
      this.#addOutput(name, plan[name], source);
    }
  }

  /** @param source the pipe that is read, taken over; undefined for the terminal to come. */
  #addOutput(name: StreamName, plan: StreamPlan, source: Fd | undefined): void {
    const { sys } = this.#context;
    let endpoint: Endpoint;
    try {
      endpoint = openTarget(sys, name, plan);
    } catch (thrown) {
      if (source !== undefined) sys.close(source);
      throw thrown;
    }
    const { fd: target, kept } = endpoint;
    const ends = { target, ...(source === undefined ? {} : { source }), ...(kept === undefined ? {} : { kept }) };
    this.#add(name, ends, kept === undefined && plan.kind !== "none");
  }

  async #openLogger(plan: LoggerPlan): Promise<void> {
    const { sys } = this.#context;
    const { terminal } = this.#setup;
    const readFds: Fd[] = [];
    try {
      for (const target of [1, 2]) {
        const name = target === 1 ? "stdout" : "stderr";
        const [readFd, writeFd] = this.#childPipe(name, 1);
        readFds.push(readFd);
        // A terminal's one output is pumped into the first; the second has ended before it began.
        if (!terminal) this.#childFds.push({ target, source: writeFd });
        else if (target === 1) this.#add(name, { target: writeFd }, true);
        else sys.close(writeFd);
      }
      const [outFd, errFd] = readFds as [Fd, Fd];
      this.logger = await startLogger(this.#context, { ...this.#setup, plan, outFd, errFd });
    } finally {
      // From now on the logger alone reads: when it is gone, a writer is told.
      for (const fd of readFds) sys.close(fd);
    }
  }

  #add(name: StreamName, ends: ConstructorParameters<typeof Stream>[3], survives: boolean): Stream {
    const stream = new Stream(this.#context, name, this.#setup[name], ends);
    this.streams.push({ stream, survives });
    return stream;
  }

  /**
   * A pipe whose ends block, as a process expects of its own; the pump sees to the other.
   * @param childEnd 0 when the process reads, 1 when it writes: that end gets its owner.
   */
  #childPipe(name: StreamName, childEnd: 0 | 1): readonly [readFd: Fd, writeFd: Fd] {
    const { sys } = this.#context;
    const { ioUid, ioGid } = this.#setup;
    const pipe = must(sys.pipe(0), `make a pipe for ${name}`);
    if (ioUid === 0 && ioGid === 0) return pipe;
    try {
      must(sys.fchown(pipe[childEnd], ioUid, ioGid), `give ${name} to ${ioUid}:${ioGid}`);
    } catch (thrown) {
      for (const fd of pipe) sys.close(fd);
      throw thrown;
    }
    return pipe;
  }
}

function openTarget(sys: Sys, name: StreamName, plan: StreamPlan): Endpoint {
  if (plan.kind === "path") return openOutputPath(sys, name, plan.path);
  if (plan.kind === "file") return openLogFile(sys, name, plan.path);
  // A terminal whose output nobody wants is read all the same, or its process would stand still.
  return { fd: must(sys.open("/dev/null", O_WRONLY, 0), "open /dev/null") };
}
