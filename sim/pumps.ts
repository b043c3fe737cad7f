// The host's pumps: bytes from one description to another, a bounded piece at a time, waiting for one side at a time.
// While a pump waits for its source it does not see that the target's reader leaves, as the real one does not.

import { EAGAIN, EINVAL, ENOENT, EPIPE, isErrno } from "../src/sys/errno.ts";
import type { Errno, Fd, PumpEnd, PumpId, PumpRequest, PumpState, Status } from "../src/sys/sys.d.ts";
import type { Description } from "./files.ts";
import type { Random } from "./random.ts";
import type { Timeline } from "./timeline.ts";

interface Pump {
  readonly id: PumpId;
  readonly source: Description;
  readonly target: Description;
  readonly fn: (end: PumpEnd) => void;
  drained: ((why: "empty" | "full" | "ended") => void) | undefined;
  bytes: bigint;
  waitsFor: "source" | "target";
  isDue: boolean;
  isOver: boolean;
  isStopped: boolean;
  readonly wake: () => void;
}

const mostBytes = 64;

export class Pumps {
  readonly #timeline: Timeline;
  readonly #random: Random;
  /** Runs a callback of the shim's. */
  readonly #enter: (fn: () => void) => void;
  /** Takes the description of an fd away from the shim. */
  readonly #take: (fd: Fd) => Description | undefined;
  readonly #pumps = new Map<PumpId, Pump>();
  #ids = 1;

  constructor(
    timeline: Timeline,
    random: Random,
    enter: (fn: () => void) => void,
    take: (fd: Fd) => Description | undefined,
  ) {
    this.#timeline = timeline;
    this.#random = random;
    this.#enter = enter;
    this.#take = take;
  }

  /** What each that runs moves. */
  get running(): readonly string[] {
    return [...this.#pumps.values()].map(({ source, target }) => `${source.label} -> ${target.label}`);
  }

  start({ takeSourceFd, takeTargetFd }: PumpRequest, fn: (end: PumpEnd) => void): PumpId | Errno {
    const [source, target] = [this.#take(takeSourceFd), this.#take(takeTargetFd)];
    if (source === undefined || target === undefined) return EINVAL;
    const id = this.#ids++ as PumpId;
    const wake = (): void => this.#wake(pump);
    const pump: Pump = {
      id,
      source,
      target,
      fn,
      drained: undefined,
      bytes: 0n,
      waitsFor: "source",
      isDue: false,
      isOver: false,
      isStopped: false,
      wake,
    };
    source.source?.watchers.add(wake);
    target.target?.watchers.add(wake);
    this.#pumps.set(id, pump);
    wake();
    return id;
  }

  drained(id: PumpId, fn: (why: "empty" | "full" | "ended") => void): Status {
    const pump = this.#pumps.get(id);
    if (pump === undefined || pump.isOver) return ENOENT;
    pump.drained = fn;
    pump.wake();
    return 0;
  }

  /** The process they belong to is gone. */
  endAll(): void {
    for (const pump of this.#pumps.values()) this.#close(pump);
  }

  stop(id: PumpId): Status {
    const pump = this.#pumps.get(id);
    if (pump === undefined || pump.isOver) return ENOENT;
    pump.isStopped = true;
    pump.wake();
    return 0;
  }

  state(id: PumpId): PumpState | Errno {
    const pump = this.#pumps.get(id);
    if (pump === undefined || pump.isOver) return ENOENT;
    return { bytes: pump.bytes, buffered: 0, waitsFor: pump.waitsFor };
  }

  #wake(pump: Pump): void {
    if (pump.isDue || pump.isOver) return;
    pump.isDue = true;
    this.#timeline.after(this.#random.delay(2), () => {
      pump.isDue = false;
      if (!pump.isOver) this.#step(pump);
    });
  }

  #step(pump: Pump): void {
    if (pump.isStopped) return this.#end(pump, "closed");
    const { source, target } = pump;
    if (pump.waitsFor === "target" && target.target?.readers === 0) return this.#end(pump, "closed");
    const isReady = source.source === undefined || source.source.bytes > 0;
    if (!isReady) {
      if (source.source?.writers === 0) return this.#end(pump, "eof");
      pump.waitsFor = "source";
      return this.#answer(pump, "empty");
    }
    // Something without a pipe behind it has nothing to give, and takes everything.
    if (source.source === undefined) return this.#end(pump, "eof");
    const room = target.target === undefined ? mostBytes : target.target.space;
    if (target.target?.readers === 0) return this.#end(pump, "closed");
    if (room === 0) {
      pump.waitsFor = "target";
      return this.#answer(pump, "full");
    }
    const piece = source.source.read(Math.min(room, 1 + this.#random.below(mostBytes)));
    if (isErrno(piece)) return;
    const written = target.target?.write(piece) ?? piece.length;
    if (written === EPIPE || written === EAGAIN) throw new Error("the pump's target has changed under its hand");
    pump.bytes += BigInt(piece.length);
    pump.wake();
  }

  #answer(pump: Pump, why: "empty" | "full" | "ended"): void {
    const { drained } = pump;
    if (drained === undefined) return;
    pump.drained = undefined;
    this.#enter(() => drained(why));
  }

  #close(pump: Pump): void {
    pump.isOver = true;
    this.#pumps.delete(pump.id);
    pump.source.source?.watchers.delete(pump.wake);
    pump.target.target?.watchers.delete(pump.wake);
    pump.source.release();
    pump.target.release();
  }

  #end(pump: Pump, reason: PumpEnd["reason"]): void {
    this.#close(pump);
    this.#answer(pump, "ended");
    this.#enter(() => pump.fn({ reason, errno: 0, bytes: pump.bytes }));
  }
}
