// The log's ring as a stream: what is in it, and then each new line as it comes. A reader that is slow holds nothing up and
// costs nothing: it loses what has left the ring meanwhile, and is told how much.

import type { Cancellation, Sender } from "ttrpc";
import type { LogsResponse } from "../api/control.ts";
import type { Logger } from "./logger.ts";

/** Those who follow one log. A line wakes them all. */
const followers = new WeakMap<Logger, Set<() => void>>();

/** @param ends any of them ends it. */
export async function sendLines(
  log: Logger,
  follow: boolean,
  output: Sender<LogsResponse>,
  ends: readonly Cancellation[],
): Promise<void> {
  let seen = 0;
  let isOver = false;
  let wake: () => void = () => undefined;
  const heard = (): void => wake();
  const forget = ends.map((end) =>
    end.onCancel(() => {
      isOver = true;
      wake();
    }),
  );
  listen(log, heard);
  try {
    for (;;) {
      const { lines, before } = log.ring();
      const count = before + lines.length;
      if (count > seen) {
        const missed = Math.max(before - seen, 0);
        const fresh = lines.slice(Math.max(seen - before, 0));
        seen = count;
        await output.send({ lines: fresh, missed: BigInt(missed) });
        continue;
      }
      if (!follow || isOver) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } catch (thrown) {
    // Nobody is there any more to be sent anything.
    if (!isOver) throw thrown;
  } finally {
    for (const each of forget) each();
    unlisten(log, heard);
  }
}

function listen(log: Logger, heard: () => void): void {
  const all = followers.get(log) ?? new Set();
  followers.set(log, all);
  all.add(heard);
  log.onLine = () => {
    for (const each of all) each();
  };
}

function unlisten(log: Logger, heard: () => void): void {
  const all = followers.get(log);
  all?.delete(heard);
  if (all?.size === 0) log.onLine = undefined;
}
