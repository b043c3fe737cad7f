// What a shim could not deliver before it had to go, delivered by `delete`: it is the last who knows of it. Most often the
// daemon is just starting then, takes no events yet, and learns the exit from the answer of `delete`; but it need not be so.

import { withDeadline } from "../reaper/deadline.ts";
import type { Log } from "../sys/log.ts";
import type { Sys } from "../sys/sys.d.ts";
import { connectEventSink } from "./event-sink.ts";
import { refusalOf } from "./publisher.ts";
import { readBufferBytes } from "./socket-transport.ts";
import { readRecords } from "./spool.ts";

/** For all of them: a daemon that is well takes a thousand in that time, and it waits for `delete`. */
const withinMs = 500;

/**
 * Sends the records of the file to the daemon, in order, and removes it. What it refuses is dropped, as the shim would have.
 * @throws MoorError when the daemon is not there or takes too long; the file stays.
 */
export async function deliverLeftEvents(sys: Sys, log: Log, path: string, ttrpcAddress: string): Promise<void> {
  const requests = readRecords(sys, path);
  const sink = connectEventSink(sys, ttrpcAddress, new Uint8Array(readBufferBytes));
  const untilMs = sys.monotonicMs() + withinMs;
  try {
    for (const request of requests) {
      const leftMs = Math.max(Math.round(untilMs - sys.monotonicMs()), 1);
      const sent = withDeadline(
        sys,
        leftMs,
        "deliver the events that the shim has left",
        sink.forward(request, leftMs),
      );
      await sent.catch((error: unknown) => {
        const code = refusalOf(error);
        if (code === undefined) throw error;
        log.error("the daemon refused an event; it is dropped", { code, error: String(error) });
      });
    }
  } finally {
    sink.close();
  }
  sys.unlink(path);
  log.info("events that the shim has left are delivered", { events: requests.length });
}
