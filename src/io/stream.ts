// One stream of a process: a pump and the fds around it, from the moment they are opened to the end of the stream. It owns
// each fd it was given until the pump has it, and closes what is left on every path.

import { ENOENT, isErrno } from "../sys/errno.ts";
import { MoorError, must } from "../sys/error.ts";
import { O_WRONLY } from "../sys/flags.ts";
import type { Log } from "../sys/log.ts";
import type { Fd, PumpEnd, PumpId, Sys } from "../sys/sys.d.ts";
import { LateReaders } from "./late-readers.ts";

export type StreamName = "stdin" | "stdout" | "stderr";

/** Plain data for the state dump. */
export interface StreamState {
  readonly name: StreamName;
  /** As the request has it. */
  readonly uri: string;
  /**
   * opened: the process is not there yet. dropping: its target has failed, what comes now is lost. with the logger: the
   * process and the logger share a pipe, of which the shim sees nothing.
   */
  readonly state: "opened" | "flowing" | "dropping" | "ended" | "with the logger";
  /** Bytes that reached the target. */
  readonly bytes: bigint;
  /** What the pump waits for now. */
  readonly waitsFor?: "source" | "target";
}

/** What is open already; a side that is missing is the terminal, and comes with `connect`. */
export interface StreamEnds {
  readonly source?: Fd;
  readonly target?: Fd;
  /** The FIFO's other side, open so that a client who goes away ends nothing, and that opening never waits. */
  readonly kept?: Fd;
}

/** An open fd, known again by its file: the number alone may have come to mean another. */
export type KeptFd = readonly [fd: Fd, dev: number, ino: number];

/** Plain data by which another image of the program goes on with a stream. */
export interface KeptStream {
  readonly name: StreamName;
  readonly uri: string;
  readonly state: "flowing" | "dropping" | "ended";
  readonly pump: PumpId | undefined;
  /** A decimal number. */
  readonly bytes: string;
  readonly kept: KeptFd | undefined;
  readonly spare: KeptFd | undefined;
}

/** When a stream is busy, its pipes become this big: a good three times the throughput of the kernel's 64 KiB. */
const busyPipeBytes = 256 * 1024;

export class Stream {
  readonly name: StreamName;
  /** Settles when the stream has ended and its fds but the kept one are closed. */
  readonly ended: Promise<void>;
  readonly #sys: Sys;
  readonly #log: Log;
  readonly #uri: string;
  readonly #changed: () => void;
  #state: StreamState["state"] = "opened";
  #source: Fd | undefined;
  #target: Fd | undefined;
  #kept: Fd | undefined;
  /** A second fd of the source, so that a target that fails does not cut the process off. */
  #spare: Fd | undefined;
  #pump: PumpId | undefined;
  #lateReaders: LateReaders | undefined;
  /** Bytes of pumps that are over. */
  #bytes = 0n;
  #resolveEnded: () => void = () => undefined;
  readonly #started: Promise<void>;
  #resolveStarted: () => void = () => undefined;
  #draining: Promise<void> | undefined;

  constructor(
    { sys, log, changed }: { sys: Sys; log: Log; changed?: (() => void) | undefined },
    name: StreamName,
    uri: string,
    ends: StreamEnds,
  ) {
    this.#sys = sys;
    this.#log = log;
    this.#changed = changed ?? (() => undefined);
    this.name = name;
    this.#uri = uri;
    this.#source = ends.source;
    this.#target = ends.target;
    this.#kept = ends.kept;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.#started = new Promise((resolve) => {
      this.#resolveStarted = resolve;
    });
  }

  /** A target that is opened after its source; the stream's from now on. */
  setTarget(fd: Fd): void {
    this.#target = fd;
  }

  /**
   * Starts the pump.
   * @param missing the side that was not open before, taken over in any case.
   * @param survives the process goes on, its output dropped, when the target fails: for targets that no client can mend.
   * @throws MoorError; the stream has ended then.
   */
  start({ missing, survives }: { missing?: Fd | undefined; survives: boolean }): void {
    const takeSourceFd = this.#source ?? missing;
    const takeTargetFd = this.#target ?? missing;
    if (takeSourceFd === undefined || takeTargetFd === undefined) {
      this.stop();
      throw new MoorError("internal", `${this.name}: one side is missing`);
    }
    try {
      if (survives) this.#spare = must(this.#sys.dup(takeSourceFd), `${this.name}: keep its source`);
    } catch (thrown) {
      if (missing !== undefined) this.#sys.close(missing);
      this.stop();
      throw thrown;
    }
    this.#source = undefined;
    this.#target = undefined;
    // A terminal is far slower than the smallest pipe.
    const size = missing === undefined ? { pipeSize: busyPipeBytes } : {};
    const pump = this.#sys.pumpStart({ takeSourceFd, takeTargetFd, ...size }, (end) => this.#pumpEnded(end));
    if (isErrno(pump)) {
      this.stop();
      must(pump, `${this.name}: pump to ${this.#uri}`);
      return;
    }
    this.#pump = pump;
    this.#state = "flowing";
    this.#changed();
    this.#resolveStarted();
  }

  /** What another image would need; undefined before the stream has started. */
  keep(): KeptStream | undefined {
    if (this.#state === "opened" || this.#state === "with the logger") return undefined;
    const bytes = String(this.#bytes);
    const kept = keepFd(this.#sys, this.#kept);
    const spare = keepFd(this.#sys, this.#spare);
    return { name: this.name, uri: this.#uri, state: this.#state, pump: this.#pump, bytes, kept, spare };
  }

  /** Goes on, in a new image, where the one before was; its fds are this object's. To be called in the place of start(). */
  goOn({ state, pump, bytes, kept, spare }: KeptStream): void {
    this.#state = state;
    this.#bytes = BigInt(bytes);
    this.#kept = foundFd(this.#sys, kept);
    this.#spare = foundFd(this.#sys, spare);
    this.#resolveStarted();
    if (state === "ended") {
      this.#resolveEnded();
      return;
    }
    const status = pump === undefined ? ENOENT : this.#sys.pumpResume(pump, (end) => this.#pumpEnded(end));
    if (!isErrno(status)) {
      this.#pump = pump;
      return;
    }
    // It had ended in the turn that was cut short, and its last word is lost.
    this.#sys.timerStart(0, () => this.#pumpEnded({ reason: "eof", errno: 0, bytes: 0n }));
  }

  /** Its own that are open beside the pump's. */
  get fds(): readonly Fd[] {
    return [this.#kept, this.#spare].filter((fd) => fd !== undefined);
  }

  /** Resolves when what the process has written is on its way, or nobody takes it, or nothing more will come. */
  drained(): Promise<void> {
    this.#draining ??= this.#drain().finally(() => {
      this.#draining = undefined;
    });
    return this.#draining;
  }

  async #drain(): Promise<void> {
    await this.#started;
    const pump = this.#pump;
    if (pump === undefined) return;
    await new Promise<void>((resolve) => {
      // A pump that is over has nothing left.
      if (isErrno(this.#sys.pumpDrained(pump, () => resolve()))) resolve();
    });
  }

  /** Holds the FIFO open no longer: from now on it is the clients who keep the stream going, or end it. */
  letGo(): void {
    this.#lateReaders?.stop();
    this.#close("kept");
    this.#close("spare");
    this.#changed();
  }

  /** Ends the stream now. Nothing happens when it has ended. */
  stop(): void {
    this.letGo();
    if (this.#state === "opened") {
      this.#close("source");
      this.#close("target");
      this.#end();
    } else if (this.#pump !== undefined) {
      // Its end arrives from the loop; if it is over already, that is under way.
      this.#sys.pumpStop(this.#pump);
    }
  }

  state(): StreamState {
    const base = { name: this.name, uri: this.#uri, state: this.#state };
    const now = this.#pump === undefined ? undefined : this.#sys.pumpState(this.#pump);
    if (now === undefined || isErrno(now)) return { ...base, bytes: this.#bytes };
    if (this.#state === "dropping") return { ...base, bytes: this.#bytes, waitsFor: now.waitsFor };
    return { ...base, bytes: this.#bytes + now.bytes, waitsFor: now.waitsFor };
  }

  #pumpEnded({ reason, errno, bytes }: PumpEnd): void {
    this.#pump = undefined;
    const dropped = this.#state === "dropping";
    if (!dropped) this.#bytes += bytes;
    if (reason === "failed") {
      const fields = { stream: this.name, uri: this.#uri, errno, bytes: this.#bytes };
      this.#log.error(dropped ? "dropped output cannot be read" : "a stream has failed", fields);
    }
    if (reason !== "eof" && this.#spare !== undefined && this.#dropTheRest()) return;
    this.#close("spare");
    // A client who writes to a process that no longer reads shall be told so.
    if (this.name === "stdin") this.#close("kept");
    else if (this.#kept !== undefined) this.#lateReaders = new LateReaders(this.#sys, this.#kept);
    this.#end();
  }

  /** The target is lost, yet the process shall not be: its further output goes nowhere. */
  #dropTheRest(): boolean {
    const takeSourceFd = this.#spare as Fd;
    const nowhere = this.#sys.open("/dev/null", O_WRONLY, 0);
    if (isErrno(nowhere)) return false;
    this.#spare = undefined;
    const pump = this.#sys.pumpStart({ takeSourceFd, takeTargetFd: nowhere }, (end) => this.#pumpEnded(end));
    if (isErrno(pump)) return false;
    this.#log.warn("the rest of a stream is dropped", { stream: this.name, uri: this.#uri, bytes: this.#bytes });
    this.#pump = pump;
    this.#state = "dropping";
    this.#changed();
    return true;
  }

  #end(): void {
    this.#state = "ended";
    this.#changed();
    this.#resolveStarted();
    this.#resolveEnded();
  }

  #close(which: "source" | "target" | "kept" | "spare"): void {
    const fd = { source: this.#source, target: this.#target, kept: this.#kept, spare: this.#spare }[which];
    if (fd === undefined) return;
    this.#sys.close(fd);
    if (which === "source") this.#source = undefined;
    else if (which === "target") this.#target = undefined;
    else if (which === "kept") this.#kept = undefined;
    else this.#spare = undefined;
  }
}

/** An fd as plain data. */
export function keepFd(sys: Sys, fd: Fd | undefined): KeptFd | undefined {
  if (fd === undefined) return undefined;
  const stat = sys.fstat(fd);
  return isErrno(stat) ? undefined : [fd, stat.dev, stat.ino];
}

/** The fd, if it is still what it was. */
export function foundFd(sys: Sys, kept: KeptFd | undefined): Fd | undefined {
  if (kept === undefined) return undefined;
  const [fd, dev, ino] = kept;
  const stat = sys.fstat(fd);
  return !isErrno(stat) && stat.dev === dev && stat.ino === ino ? fd : undefined;
}
