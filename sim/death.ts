// Death in the midst of a turn: a shim that is killed at its Nth call of the kernel. Its code cannot be stopped there, so
// from that call on it speaks to a wall: nothing it does has an effect any more, and nobody calls it back.

import { EIO, ENOMEM } from "../src/sys/errno.ts";
import type { Sys } from "../src/sys/sys.d.ts";

/** Calls that change nothing and cannot fail. */
const harmless: readonly string[] = [
  "decodeUtf8",
  "encodeUtf8",
  "getpid",
  "getuid",
  "monotonicMs",
  "randomBytes",
  "realtimeNs",
];

/** What the others answer to the dead: an errno, or this. */
const wall: Readonly<Record<string, unknown>> = {
  isTty: false,
  peekAny: undefined,
  peekPid: undefined,
  read: EIO,
  reap: undefined,
  timerStart: 0,
  timerStop: undefined,
};

export interface Mortal {
  /** Its calls of the kernel. */
  readonly sys: Sys;
  /** It dies when it makes this many more calls. */
  diesAt(calls: number): void;
  /** It is dead. */
  die(): void;
}

/** A process that may die: `died` is asked when it is to die at a call, once, whether it does. */
export function mortal(sys: Sys, died: () => boolean): Mortal {
  let left = Number.POSITIVE_INFINITY;
  const wrapped: Record<string, unknown> = { ...sys };
  for (const [name, call] of Object.entries(sys)) {
    if (typeof call !== "function" || harmless.includes(name)) continue;
    const fn = call as (...args: unknown[]) => unknown;
    wrapped[name] = (...args: unknown[]): unknown => {
      if (left > 0) {
        left--;
        if (left > 0) return fn(...args);
        if (!died()) left = Number.POSITIVE_INFINITY;
        if (left > 0) return fn(...args);
      }
      return name in wall ? wall[name] : ENOMEM;
    };
  }
  return {
    sys: wrapped as unknown as Sys,
    diesAt: (calls) => {
      left = Math.min(left, calls);
    },
    die: () => {
      left = 0;
    },
  };
}

/** One that is not killed. */
export function immortal(sys: Sys): Mortal {
  return { sys, diesAt: () => undefined, die: () => undefined };
}
