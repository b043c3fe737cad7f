// Events on their way to the daemon: in the order in which they happened, each until the daemon has taken it, however
// long the daemon is away. One event is under way at a time (the daemon handles concurrent calls in any order). Memory
// is bounded: past a limit the events wait in a file of the bundle, held by fd, so that a removed bundle does no harm.

import { grpcCodes, MoorError, must } from "../sys/error.ts";
import { passGate } from "../sys/gates.ts";
import type { Log } from "../sys/log.ts";
import type { Sys, TimerId } from "../sys/sys.d.ts";
import { keepsNoEvents, type KeptEvents, type PendingEvent, type ResumedEvents } from "./kept-events.ts";
import { leftEventsFile, Spool } from "./spool.ts";

/** A connection to the daemon's event service. */
export interface EventSink {
  /** Sends one encoded ForwardRequest; rejects with an object that has the gRPC `code` when the daemon or the way failed. */
  forward(request: Uint8Array, timeoutMs: number): Promise<void>;
  close(): void;
}

export interface PublisherOptions {
  readonly sys: Sys;
  readonly log: Log;
  /** Opens a connection; throws when the daemon is away. Absent: there is no daemon, events go nowhere. */
  readonly connect: (() => EventSink) | undefined;
  /** How long a daemon that is back still has to wait for those who read its events, in ms; absent: not at all. */
  readonly awaitsReadersMs?: () => number;
  /** Where events wait past the memory limit. */
  readonly spoolPath: string;
  /** Bytes of undelivered events kept in memory. */
  readonly memoryLimitBytes?: number;
  /** Where what is not delivered is kept for another image of the program; absent: nowhere. */
  readonly kept?: Pick<KeptEvents, "add" | "drop" | "spoolChanged">;
  /** What the image before had not delivered. */
  readonly resumed?: ResumedEvents | undefined;
}

const forwardTimeoutMs = 5_000;
const firstRetryMs = 20;
const lastRetryMs = 1_000;

// Codes that say "the way is broken", so that the event is sent again; any other answer is the daemon's last word.
const retriedCodes: readonly number[] = [
  grpcCodes.unavailable,
  grpcCodes.deadline_exceeded,
  grpcCodes.canceled,
  grpcCodes.resource_exhausted,
];

/** The code by which the daemon itself has refused an event for good; undefined when it was the way that failed. */
export function refusalOf(error: unknown): number | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "number" && !retriedCodes.includes(code) ? code : undefined;
}

export class Publisher {
  readonly #options: PublisherOptions;
  readonly #limitBytes: number;
  readonly #kept: Pick<KeptEvents, "add" | "drop" | "spoolChanged">;
  // An event goes through these in this order, as far as there is need: each is newer than all of the one before.
  readonly #queue: PendingEvent[] = [];
  readonly #spool: Spool;
  /** What the disk did not take: in memory past its bound, as losing it would be worse. */
  readonly #unspooled: PendingEvent[] = [];
  #queuedBytes = 0;
  #sink: EventSink | undefined;
  #sending = false;
  #closed = false;
  /** Said already in this outage: the ring of the log is for more than one line. */
  #saidAway = false;
  #saidDiskFull = false;
  #leaving = false;
  #retry: TimerId | undefined;
  #retryMs = firstRetryMs;
  #idleWaiters: (() => void)[] = [];
  #delivered = 0;
  #refused = 0;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#limitBytes = options.memoryLimitBytes ?? 128 << 10;
    this.#kept = options.kept ?? keepsNoEvents;
    const { resumed } = options;
    this.#spool = new Spool(options.sys, options.spoolPath, this.#kept, resumed?.spool);
    if (resumed === undefined) return;
    for (const event of resumed.queue) this.#push(event);
    this.#unspooled.push(...resumed.unspooled);
  }

  /** Begins with what the image before has left. */
  async begin(): Promise<void> {
    const firstTaken = this.#options.resumed?.firstTaken;
    if (firstTaken !== undefined) {
      this.#sending = true;
      if (await firstTaken) this.#taken();
      this.#sending = false;
    }
    if (this.undelivered > 0) this.#pump();
  }

  /** The oldest event is done with. */
  #taken(): void {
    const event = this.#queue.shift();
    if (event === undefined) return;
    this.#queuedBytes -= event.request.length;
    this.#kept.drop(event);
  }

  /** Takes an encoded ForwardRequest; returns at once. */
  publish(request: Uint8Array): void {
    if (this.#options.connect === undefined || this.#closed) return;
    const full = this.#queuedBytes + request.length > this.#limitBytes;
    if (full || !this.#spool.empty || this.#unspooled.length > 0) {
      this.#unspooled.push(this.#kept.add(request, true));
      this.#spill();
    } else this.#push(this.#kept.add(request, false));
    if (this.#retry === undefined) this.#pump();
  }

  #push(event: PendingEvent): void {
    this.#queue.push(event);
    this.#queuedBytes += event.request.length;
  }

  /**
   * Resolves when nothing is left to deliver, or nothing will be any more: it was closed. Who waits for that is about to
   * leave: from now on the daemon's readers are not waited for, as the bundle may be gone before they are back.
   */
  idle(): Promise<void> {
    if (this.undelivered === 0 || this.#closed) return Promise.resolve();
    this.#leaving = true;
    if (this.#retry !== undefined) {
      this.#options.sys.timerStop(this.#retry);
      this.#pumpIn(0);
    }
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  get undelivered(): number {
    return this.#queue.length + this.#spool.count + this.#unspooled.length;
  }

  /** Figures for the state dump. */
  state(): { undelivered: number; spooled: number; delivered: number; refused: number } {
    return {
      undelivered: this.undelivered,
      spooled: this.#spool.count,
      delivered: this.#delivered,
      refused: this.#refused,
    };
  }

  /**
   * The last call of a shim that goes: what is not delivered is written to a file of its own, all of it and in order, for
   * the action `delete`.
   * @returns how many events that are.
   */
  leave(): number {
    const { undelivered } = this;
    if (undelivered > 0 && !this.#closed) this.#leaveOnDisk();
    this.close();
    return undelivered;
  }

  /** Gives up what is not delivered. */
  close(): void {
    this.#closed = true;
    if (this.#retry !== undefined) this.#options.sys.timerStop(this.#retry);
    this.#sink?.close();
    this.#sink = undefined;
    this.#spool.close();
    this.#wakeIdle();
  }

  // What is in memory is older than what is in the file: a fresh one takes both.
  #leaveOnDisk(): void {
    const { sys, log, spoolPath } = this.#options;
    const leftPath = `${spoolPath.slice(0, spoolPath.lastIndexOf("/"))}/${leftEventsFile}`;
    const path = `${leftPath}.new`;
    const fresh = new Spool(sys, path, keepsNoEvents);
    try {
      for (let event = this.#head(); event !== undefined; event = this.#head()) {
        fresh.append(event.request);
        this.#queue.shift();
      }
      must(sys.rename(path, leftPath), `rename ${path}`);
      sys.unlink(spoolPath);
    } catch (error) {
      // Most likely the bundle is gone: the daemon has forgotten the container, and wants no events of it.
      log.warn("undelivered events cannot be left in the bundle", { error: MoorError.from(error).message });
      sys.unlink(path);
    }
    fresh.close();
  }

  #spill(): void {
    try {
      for (let event = this.#unspooled[0]; event !== undefined; event = this.#unspooled[0]) {
        this.#spool.append(event.request);
        this.#unspooled.shift();
        this.#kept.drop(event);
        this.#saidDiskFull = false;
      }
    } catch (error) {
      if (this.#saidDiskFull) return;
      this.#saidDiskFull = true;
      this.#options.log.error("events could not be spooled and stay in memory", {
        error: MoorError.from(error).message,
      });
    }
  }

  #pump(): void {
    if (this.#sending || this.#closed) return;
    this.#sending = true;
    this.#deliverAll()
      .catch((error: unknown) => {
        this.#sink?.close();
        this.#sink = undefined;
        if (this.#closed) return;
        this.#sayAway(error);
        this.#retryLater();
      })
      .finally(() => {
        this.#sending = false;
        if (this.undelivered === 0) this.#wakeIdle();
        // Published between the last look at the queue and this turn.
        else if (this.#retry === undefined) this.#pump();
      });
  }

  #sayAway(error: unknown): void {
    if (this.#saidAway) return;
    this.#saidAway = true;
    const undelivered = this.undelivered;
    const reason = MoorError.from(error).message;
    this.#options.log.warn("the daemon takes no events now; they are kept", { error: reason, undelivered });
  }

  #wakeIdle(): void {
    for (const wake of this.#idleWaiters.splice(0)) wake();
  }

  async #deliverAll(): Promise<void> {
    const restMs = this.#saidAway && !this.#leaving ? (this.#options.awaitsReadersMs?.() ?? 0) : 0;
    if (restMs > 0) {
      this.#pumpIn(restMs);
      return;
    }
    while (!this.#closed) {
      const event = this.#head();
      if (event === undefined) return;
      const { request } = event;
      this.#sink ??= this.#options.connect?.();
      GATE: passGate(this.#options.sys, "event.sending");
      try {
        await this.#sink?.forward(request, forwardTimeoutMs);
        GATE: passGate(this.#options.sys, "event.taken");
        this.#delivered++;
      } catch (error) {
        const code = refusalOf(error);
        if (code === undefined) throw error;
        this.#refused++;
        this.#options.log.error("the daemon refused an event; it is dropped", { code, error: String(error) });
      }
      this.#retryMs = firstRetryMs;
      if (this.#saidAway) this.#options.log.info("the daemon takes events again", { undelivered: this.undelivered });
      this.#saidAway = false;
      this.#taken();
    }
  }

  // The oldest event; when memory is empty the next ones come back from the spool.
  #head(): PendingEvent | undefined {
    if (this.#queue.length > 0) return this.#queue[0];
    if (!this.#spool.empty) {
      for (const request of this.#takeSpooled()) this.#push(this.#kept.add(request, false));
      this.#spool.settle();
    }
    if (this.#queue.length === 0) {
      // No longer behind anything: kept anew, as one of the queue.
      for (const event of this.#unspooled.splice(0)) {
        this.#push(this.#kept.add(event.request, false));
        this.#kept.drop(event);
      }
    }
    return this.#queue[0];
  }

  // Events that the disk does not give back are lost, and said to be; those after them are not held up.
  #takeSpooled(): Uint8Array[] {
    try {
      return this.#spool.take(this.#limitBytes);
    } catch (error) {
      const lost = this.#spool.discard();
      this.#options.log.error("spooled events are lost", { events: lost, error: MoorError.from(error).message });
      return [];
    }
  }

  #retryLater(): void {
    const delayMs = this.#retryMs;
    this.#retryMs = Math.min(this.#retryMs * 2, lastRetryMs);
    this.#pumpIn(delayMs);
  }

  #pumpIn(delayMs: number): void {
    this.#retry = this.#options.sys.timerStart(delayMs, () => {
      this.#retry = undefined;
      this.#pump();
    });
  }
}
