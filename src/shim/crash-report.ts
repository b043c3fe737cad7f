// A crash in words: for the log, the state dump, and the bundle's file `crashes`, one JSON line each, where it is found
// when nobody reads the log.

import { isErrno } from "../sys/errno.ts";
import { O_APPEND, O_CREAT, O_WRONLY } from "../sys/flags.ts";
import type { Crash, Sys } from "../sys/sys.d.ts";
import { rfc3339 } from "./time.ts";
import { version } from "./version.ts";

export const crashesFile = "crashes";

const names: Readonly<Record<number, string>> = {
  0: "out of memory",
  4: "SIGILL",
  6: "SIGABRT",
  7: "SIGBUS",
  8: "SIGFPE",
  11: "SIGSEGV",
};

/** As plain data. A signal that somebody sent has a sender, a fault of our own an address. */
export function wordsOf({
  atNs,
  signal,
  code,
  address,
  instruction,
  sender,
}: Crash): Readonly<Record<string, string | number>> {
  const what = { at: rfc3339(atNs), cause: names[signal] ?? `signal ${signal}`, code };
  return sender === 0 ? { ...what, address, instruction } : { ...what, instruction, sender };
}

/** Appends to the bundle's file. What fails there fails: the log has it too. */
export function noteCrash(sys: Sys, bundle: string, crash: Crash, count: number, calls: readonly string[]): void {
  const fd = sys.open(`${bundle}/${crashesFile}`, O_WRONLY | O_APPEND | O_CREAT, 0o600);
  if (isErrno(fd)) return;
  const line = { ...wordsOf(crash), count, version, pid: sys.getpid(), calls };
  const bytes = sys.encodeUtf8(`${JSON.stringify(line)}\n`);
  sys.write(fd, bytes, 0, bytes.length);
  sys.close(fd);
}
