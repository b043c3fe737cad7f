// What the shim would need to go on after a crash, kept outside its heap: each part of its state (the shim itself, a
// container, a process, streams that outlive one) as one record of plain data. A part that has changed is written before
// anything that follows from the change leaves the process (an answer, an event, a runtime call), and at the end of the
// turn at the latest. Where nothing is kept (tests, the simulation) parts cost next to nothing.

import { errnoName, isErrno } from "../sys/errno.ts";
import type { Log } from "../sys/log.ts";
import type { KeptHandle, Sys } from "../sys/sys.d.ts";

export const noHandle = 0 as KeptHandle;

/** One record, as its owner sees it. */
export interface Part {
  /** It has changed. */
  touch(): void;
  /** It is no more; its record goes when changes are written. */
  remove(): void;
}

/** A part that nobody keeps. */
export const unkept: Part = { touch: () => undefined, remove: () => undefined };

/** What those who have something to keep are given. */
export interface Keeping {
  /** A new part, written when changes are; `plain` gives its data, which JSON can hold. */
  part(plain: () => unknown): Part;
  /** Writes what has changed. */
  flush(): void;
}

export const keepsNothing: Keeping = { part: () => unkept, flush: () => undefined };

class KeptPart implements Part {
  handle: KeptHandle;
  removed = false;
  readonly plain: () => unknown;
  readonly #keeper: Keeper;

  constructor(keeper: Keeper, plain: () => unknown, handle: KeptHandle) {
    this.#keeper = keeper;
    this.plain = plain;
    this.handle = handle;
  }

  touch(): void {
    if (!this.removed) this.#keeper.changed(this);
  }

  remove(): void {
    this.removed = true;
    this.#keeper.changed(this);
  }
}

export class Keeper implements Keeping {
  readonly #sys: Sys;
  readonly #log: Log;
  readonly #changed = new Set<KeptPart>();
  #isOn = false;
  #saidFull = false;

  constructor(sys: Sys, log: Log) {
    this.#sys = sys;
    this.#log = log;
  }

  /** Begins. Without memory for it the shim serves all the same, and does not survive a crash. */
  begin(): void {
    const status = this.#sys.keepStart(() => this.flush());
    if (isErrno(status)) this.#log.warn("a crash would be the shim's end", { error: errnoName(status) });
    this.#isOn = !isErrno(status);
  }

  part(plain: () => unknown): Part {
    if (!this.#isOn) return unkept;
    const part = new KeptPart(this, plain, noHandle);
    part.touch();
    return part;
  }

  /** For the parts themselves. */
  changed(part: KeptPart): void {
    if (this.#changed.size === 0) this.#sys.keepTouch();
    this.#changed.add(part);
  }

  flush(): void {
    if (this.#changed.size === 0) return;
    for (const part of this.#changed) {
      if (part.removed) {
        this.#sys.keepDrop(part.handle);
        part.handle = noHandle;
      } else this.#write(part);
    }
    this.#changed.clear();
  }

  #write(part: KeptPart): void {
    const bytes = this.#sys.encodeUtf8(JSON.stringify(part.plain()));
    const handle = this.#sys.keep(bytes, part.handle);
    if (!isErrno(handle)) {
      part.handle = handle;
      return;
    }
    if (!this.#saidFull) this.#log.error("what a crash would leave is out of date", { error: errnoName(handle) });
    this.#saidFull = true;
  }
}
