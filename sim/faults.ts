// Which calls of the kernel may fail and how: the errnos that each may really give on a machine that is full, out of fds
// or broken, by what the fd stands for where that matters. Every call of the simulated machine is named here; those that
// have no errno cannot fail for such reasons, or their failing would be the loss itself (a spool that the disk does not
// give back).

import {
  EACCES,
  EAGAIN,
  EBUSY,
  ECONNABORTED,
  ECONNRESET,
  EEXIST,
  EINTR,
  EIO,
  EMFILE,
  ENOMEM,
  ENOSPC,
  EPIPE,
  EROFS,
  errnoName,
} from "../src/sys/errno.ts";
import type { Errno, Fd, Sys } from "../src/sys/sys.d.ts";
import type { DescriptionKind } from "./files.ts";
import type { Random } from "./random.ts";

/** ENFILE, of which nobody makes a difference. */
const ENFILE = -23 as Errno;

type Errnos = readonly Errno[];

/** A failure of a call, or of a call on an fd of this kind. */
type Failures = Errnos | Partial<Record<DescriptionKind, Errnos>>;

const mayFail: Readonly<Record<string, Failures>> = {
  spawn: [EAGAIN, ENOMEM, EMFILE],
  open: [EMFILE, ENFILE, ENOMEM, EIO, EACCES],
  pipe: [EMFILE, ENFILE, ENOMEM],
  dup: [EMFILE],
  pidfdOpen: [EMFILE, ENOMEM],
  // A wake-up may be about nothing any more, and any read may be interrupted.
  read: { pipe: [EINTR, EAGAIN], tty: [EINTR], file: [EINTR], connection: [EINTR, EAGAIN, ECONNRESET] },
  write: { file: [ENOSPC, EIO, EINTR], connection: [EINTR, EPIPE, ECONNRESET] },
  readText: [EMFILE, EIO, ENOMEM],
  writeText: [ENOSPC, EMFILE, EIO, EROFS],
  readdir: [EMFILE, ENOMEM],
  stat: [ENOMEM, EIO],
  fstat: [EIO],
  rename: [ENOSPC, EIO],
  unlink: [EIO, EROFS],
  mkdir: [ENOSPC, EROFS],
  readlink: [ENOMEM],
  fsFlags: [EIO],
  ftruncate: [EIO],
  setNonblock: [EIO],
  pollStart: [ENOMEM, ENOSPC],
  pumpStart: [ENOMEM, EMFILE],
  inotifyCreate: [EMFILE],
  inotifyAdd: [ENOSPC, ENOMEM],
  eventfd: [EMFILE, ENFILE],
  unixBind: [EMFILE, ENOSPC, EEXIST],
  listen: [ENOMEM],
  accept: [EMFILE, ENFILE, ECONNABORTED, EINTR],
  receiveFds: [EINTR],
  mount: [ENOMEM, EACCES, EBUSY],
  umount: [EBUSY],
};

/** "open EMFILE" for every failure that there may be. */
export function allFailures(): readonly string[] {
  return Object.entries(mayFail).flatMap(([call, failures]) =>
    (Array.isArray(failures) ? failures : Object.values(failures).flat()).map(
      (errno: Errno) => `${call} ${errnoName(errno)}`,
    ),
  );
}

export interface Surroundings {
  /** What this fd stands for. */
  kindOf(fd: Fd): DescriptionKind | undefined;
  /** Gives back what a call that fails has taken over. */
  lose(call: keyof Sys, args: readonly unknown[]): void;
}

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

  /** Whether one of these calls has failed, ever. */
  has(...calls: readonly (keyof Sys)[]): boolean {
    return [...this.injected.keys()].some((name) => calls.some((call) => name.startsWith(`${call} `)));
  }

  /** Nothing fails meanwhile. */
  without<T>(fn: () => T): T {
    const { rate } = this;
    this.rate = 0;
    const value = fn();
    this.rate = rate;
    return value;
  }

  /** The same calls, some of which fail. */
  around(sys: Partial<Sys>, { kindOf, lose }: Surroundings): Sys {
    if (this.rate === 0) return sys as Sys;
    const wrapped: Record<string, unknown> = { ...sys };
    for (const [name, failures] of Object.entries(mayFail)) {
      const call = name as keyof Sys;
      const fn = sys[call] as ((...args: unknown[]) => unknown) | undefined;
      if (fn === undefined) throw new Error(`the simulated machine has no ${call}`);
      wrapped[call] = (...args: unknown[]): unknown => {
        if (this.rate === 0 || !this.#random.chance(this.rate)) return fn(...args);
        const errnos = isList(failures) ? failures : failures[kindOf(args[0] as Fd) ?? "path"];
        if (errnos === undefined) return fn(...args);
        const errno = this.#random.pick(errnos);
        this.#count(call, errno, args[0]);
        lose(call, args);
        return errno;
      };
    }
    return wrapped as unknown as Sys;
  }

  #count(call: keyof Sys, errno: Errno, about: unknown): void {
    this.count++;
    const name = `${call} ${errnoName(errno)}`;
    this.injected.set(name, (this.injected.get(name) ?? 0) + 1);
    this.#note(`fault: ${call}(${typeof about === "object" ? "" : String(about)}) = ${errnoName(errno)}`);
  }
}

function isList(failures: Failures): failures is Errnos {
  return Array.isArray(failures);
}
