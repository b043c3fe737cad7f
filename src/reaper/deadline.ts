// Bounds for waits: what is not settled in time is an error, or a plain "no", and leaves no timer behind.

import { MoorError } from "../sys/error.ts";
import type { Sys } from "../sys/sys.d.ts";

/**
 * Settles as the promise does. After ms milliseconds it calls onLate, which should end what is waited for, and rejects;
 * what becomes of the promise after that interests nobody.
 * @throws MoorError deadline_exceeded "WHAT: no end within MS ms"; what the promise rejects with.
 */
export function withDeadline<T>(
  sys: Sys,
  ms: number,
  what: string,
  promise: Promise<T>,
  onLate?: () => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = sys.timerStart(ms, () => {
      // First, so that what onLate may throw (it goes to the log of the uncaught) takes nobody's end away.
      reject(new MoorError("deadline_exceeded", `${what}: no end within ${ms} ms`));
      onLate?.();
    });
    promise.then(
      (value) => {
        sys.timerStop(timer);
        resolve(value);
      },
      (thrown: unknown) => {
        sys.timerStop(timer);
        reject(thrown instanceof Error ? thrown : MoorError.from(thrown));
      },
    );
  });
}

/** True when the promise is settled, either way, within ms milliseconds, else false. Never rejects. */
export function settledWithin(sys: Sys, ms: number, promise: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = sys.timerStart(ms, () => resolve(false));
    const settled = () => {
      sys.timerStop(timer);
      resolve(true);
    };
    promise.then(settled, settled);
  });
}
