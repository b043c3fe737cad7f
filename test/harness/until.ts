// Waiting for conditions. No test sleeps for a guess: it names what it waits for, how long at most, and fails with
// that name (and whatever state the caller adds) when it does not come.

import { setTimeout as delay } from "node:timers/promises";

const POLL_MS = 10;

/**
 * Waits until `condition` gives something other than undefined or false, and returns it.
 * @param explain says what was there instead, for the error.
 * @throws Error naming `what` after `deadlineMs`.
 */
export async function until<T>(
  what: string,
  deadlineMs: number,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  explain?: () => string | Promise<string>,
): Promise<T> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) {
      const detail = explain === undefined ? "" : `: ${await explain()}`;
      throw new Error(`waited ${deadlineMs} ms in vain for ${what}${detail}`);
    }
    await delay(POLL_MS);
  }
}

/** The promise's value, or an error naming `what` when it takes longer than `deadlineMs`. */
export async function within<T>(what: string, deadlineMs: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${deadlineMs} ms in vain for ${what}`)), deadlineMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asserts that nothing comes of `promise` for `forMs`: the one place where time itself is the condition. */
export async function staysPending(what: string, forMs: number, promise: Promise<unknown>): Promise<void> {
  const over = Symbol("over");
  const first = await Promise.race([promise, delay(forMs, over)]);
  if (first !== over) throw new Error(`${what} ended although it should not have`);
}
