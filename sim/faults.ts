// Which calls of the kernel may fail and how: the errnos that each may really give on a machine that is full, out of fds
// or broken. Calls that are not named here cannot fail for such reasons (waitid of an own child, kill, close).

import { EAGAIN, ECONNABORTED, EINTR, EIO, EMFILE, ENOMEM, ENOSPC, errnoName } from "../src/sys/errno.ts";
import type { Errno, Sys } from "../src/sys/sys.d.ts";
import type { Random } from "./random.ts";

const mayFail: Partial<Record<keyof Sys, readonly Errno[]>> = {
  spawn: [EAGAIN, ENOMEM, EMFILE],
  open: [EMFILE, ENOMEM, EIO],
  pipe: [EMFILE, ENOMEM],
  dup: [EMFILE],
  read: [EINTR],
  write: [ENOSPC, EIO],
  readText: [EMFILE, EIO],
  writeText: [ENOSPC, EMFILE, EIO],
  readdir: [EMFILE, ENOMEM],
  stat: [ENOMEM, EIO],
  fstat: [EIO],
  rename: [ENOSPC, EIO],
  unlink: [EIO],
  mkdir: [ENOSPC],
  fchown: [EIO],
  pollStart: [ENOMEM, ENOSPC],
  pumpStart: [ENOMEM, EMFILE],
  inotifyCreate: [EMFILE],
  inotifyAdd: [ENOSPC, ENOMEM],
  unixBind: [EMFILE, ENOSPC],
  listen: [ENOMEM],
  accept: [EMFILE, ECONNABORTED],
};

/** Whether and how calls fail. */
export class Faults {
  /** Chance of each call that may fail. */
  rate: number;
  /** How many have failed. */
  count = 0;
  /** The same by call and errno: "open EMFILE". */
  readonly injected = new Map<string, number>();
  readonly #random: Random;
  readonly #note: (text: string) => void;

  constructor(random: Random, rate: number, note: (text: string) => void) {
    this.#random = random;
    this.rate = rate;
    this.#note = note;
  }

  /** The errno this call fails with; undefined: it does not. */
  #strike(call: keyof Sys, errnos: readonly Errno[], about: unknown): Errno | undefined {
    if (!this.#random.chance(this.rate)) return undefined;
    const errno = this.#random.pick(errnos);
    this.count++;
    const name = `${call} ${errnoName(errno)}`;
    this.injected.set(name, (this.injected.get(name) ?? 0) + 1);
    this.#note(`fault: ${call}(${typeof about === "object" ? "" : String(about)}) = ${errnoName(errno)}`);
    return errno;
  }

  /** The same calls, some of which fail. What a failed call takes over is given back by `lose`. */
  around(sys: Partial<Sys>, lose: (call: keyof Sys, args: readonly unknown[]) => void): Sys {
    if (this.rate === 0) return sys as Sys;
    const wrapped: Record<string, unknown> = { ...sys };
    for (const [name, errnos] of Object.entries(mayFail)) {
      const call = name as keyof Sys;
      const fn = sys[call] as ((...args: unknown[]) => unknown) | undefined;
      if (fn === undefined) continue;
      wrapped[call] = (...args: unknown[]): unknown => {
        const errno = this.rate === 0 ? undefined : this.#strike(call, errnos, args[0]);
        if (errno === undefined) return fn(...args);
        lose(call, args);
        return errno;
      };
    }
    return wrapped as unknown as Sys;
  }
}
