// What a daemon says to an action on its standard input: a short message, or nothing. Used before the event loop is.

import { EAGAIN, EINTR, EIO, errnoName, isErrno } from "../sys/errno.ts";
import { MoorError } from "../sys/error.ts";
import type { Fd, Sys } from "../sys/sys.d.ts";

/** Options with a TOML text inside are the longest there are. */
const maxBytes = 4 << 20;
/** A daemon writes at once and closes; whoever holds the pipe open longer has forgotten it. */
const patienceMs = 5_000;
const pauseMs = 1;

/**
 * All of standard input; empty for a terminal, where nobody types protobuf.
 * @throws MoorError invalid_argument when it is too long; deadline_exceeded when it does not end.
 */
export function readStandardInput(sys: Sys): Uint8Array {
  const fd = 0 as Fd;
  if (sys.isTty(fd)) return new Uint8Array();
  // Of a file this is as good as nothing; its end comes all the same.
  sys.setNonblock(fd, true);
  const chunks: Uint8Array[] = [];
  let length = 0;
  const buffer = new Uint8Array(16 << 10);
  const untilMs = sys.monotonicMs() + patienceMs;
  for (;;) {
    const count = sys.read(fd, buffer, 0, buffer.length);
    // A terminal that hung up counts as closed.
    if (count === 0 || count === EIO) break;
    if (count === EAGAIN) {
      if (sys.monotonicMs() > untilMs) {
        throw new MoorError("deadline_exceeded", `standard input has no end within ${patienceMs} ms: use </dev/null`);
      }
      sys.sleepMs(pauseMs);
    } else if (isErrno(count)) {
      if (count !== EINTR) {
        throw new MoorError("unknown", `read standard input: ${errnoName(count)}`, { errno: count });
      }
    } else {
      chunks.push(buffer.slice(0, count));
      length += count;
      if (length > maxBytes) {
        throw new MoorError("invalid_argument", `standard input is longer than ${maxBytes} bytes`);
      }
    }
  }
  // Whoever shares this end finds it as it was.
  sys.setNonblock(fd, false);
  return joined(chunks, length);
}

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
