// Events that the daemon has not taken, kept outside the heap: each as a record of its own from the moment it is published,
// and where in the spool's file those begin and end that are there.

import { isErrno } from "../sys/errno.ts";
import type { Fd, Kept, KeptHandle, Sys } from "../sys/sys.d.ts";
import { type Keeping, noHandle, type Part } from "./keeper.ts";

/** An event in memory. */
export interface PendingEvent {
  readonly request: Uint8Array;
  /** Of its record. */
  readonly handle: KeptHandle;
}

/** The spool as plain data. */
export interface SpoolState {
  readonly fd: Fd | undefined;
  readonly start: number;
  readonly end: number;
  readonly count: number;
}

/** What an image before this one had not delivered. */
export interface ResumedEvents {
  readonly queue: readonly PendingEvent[];
  readonly unspooled: readonly PendingEvent[];
  readonly spool: SpoolState | undefined;
  /** Whether the daemon has taken the first of the queue, which was under way; it may take a moment to be known. */
  readonly firstTaken: Promise<boolean> | undefined;
}

/** The first byte of a record; what is JSON begins with a brace. */
const queued = 1;
const unspooled = 2;

export class KeptEvents {
  readonly #sys: Sys;
  readonly #keeper: Keeping;
  #spool: Part | undefined;
  #spoolState: () => SpoolState = () => ({ fd: undefined, start: 0, end: 0, count: 0 });

  constructor(sys: Sys, keeper: Keeping) {
    this.#sys = sys;
    this.#keeper = keeper;
  }

  /**
   * From now on it survives a crash; and so does, by a record of its own, what it tells of.
   * @param waits it stands behind those in the spool.
   */
  add(request: Uint8Array, waits: boolean): PendingEvent {
    const bytes = new Uint8Array(1 + request.length);
    bytes[0] = waits ? unspooled : queued;
    bytes.set(request, 1);
    const handle = this.#sys.keep(bytes, noHandle);
    this.#keeper.flush();
    return { request, handle: isErrno(handle) ? noHandle : handle };
  }

  drop({ handle }: PendingEvent): void {
    this.#sys.keepDrop(handle);
  }

  /** The spool's state, from its first change on. */
  spoolChanged(state: () => SpoolState): void {
    this.#spoolState = state;
    this.#spool ??= this.#keeper.part(() => ({ kind: "spool", ...this.#spoolState() }));
    this.#spool.touch();
    this.#keeper.flush();
  }
}

/** Keeps nothing. */
export const keepsNoEvents: Pick<KeptEvents, "add" | "drop" | "spoolChanged"> = {
  add: (request) => ({ request, handle: noHandle }),
  drop: () => undefined,
  spoolChanged: () => undefined,
};

/** The events among the records; undefined for a record that is none. */
export function keptEvent(record: Kept["records"][number]): { event: PendingEvent; waits: boolean } | undefined {
  const [first] = record.bytes;
  if (first !== queued && first !== unspooled) return undefined;
  return { event: { request: record.bytes.subarray(1), handle: record.handle }, waits: first === unspooled };
}
