// The end of a shim that crashes again and again: what it knows of exits goes into the bundles, where `delete` finds it, and
// what the daemon has not taken of events into the spool. Containers live on until the daemon has them deleted.

import type { ChildExit, Crash, Kept, Pid, Sys } from "../sys/sys.d.ts";
import { exitOf } from "../reaper/reaper.ts";
import { isErrno } from "../sys/errno.ts";
import { MoorError } from "../sys/error.ts";
import { wordsOf } from "./crash-report.ts";
import { ExitRecords, readExitRecords } from "./exit-records.ts";
import type { KeptInit, KeptRecord } from "./kept-records.ts";
import { Logger } from "./logger.ts";
import { Publisher } from "./publisher.ts";
import type { KeptRecords } from "./resume.ts";
import type { ServeSetup } from "./serve.ts";

/** Returns when everything is written; the process is to end then. */
export function writeLastWords(
  sys: Sys,
  { bundle, logFd, logLevel: level }: Pick<ServeSetup, "bundle" | "logFd" | "logLevel">,
  kept: Kept,
  { parts, events }: KeptRecords,
  crash: Crash,
): void {
  const log = new Logger(sys, logFd === undefined ? { level } : { fd: logFd, level });
  const count = kept.crashCount;
  log.error("the shim has crashed too often and ends", { ...wordsOf(crash), crashes: count });
  for (const part of parts) {
    if (part.kind !== "container") continue;
    try {
      writeRecords(sys, kept.reaped, part.id, part.bundle, parts);
    } catch (thrown) {
      log.error("exits could not be recorded", { id: part.id, error: MoorError.from(thrown).message });
    }
  }
  const spoolPath = `${bundle}/events`;
  const left = new Publisher({ sys, log, connect: () => nobody(), spoolPath, resumed: events }).leave();
  log.info("the shim ends", { events: left });
}

function nobody(): never {
  throw new MoorError("unavailable", "the shim ends");
}

function writeRecords(
  sys: Sys,
  reaped: readonly ChildExit[],
  id: string,
  bundle: string,
  parts: readonly KeptRecord[],
): void {
  const records = new ExitRecords(sys, bundle);
  records.goOn(readExitRecords(sys, bundle));
  for (const part of parts) {
    if ((part.kind !== "init" && part.kind !== "exec") || part.containerId !== id || part.pid === 0) continue;
    const exit = exitOfPart(sys, reaped, part);
    if (exit !== undefined) records.add(part.kind === "init" ? id : part.execId, exit);
  }
}

/** Known before, reaped in the turn that was cut short, or a zombie now; undefined for one that lives. */
function exitOfPart(
  sys: Sys,
  reaped: readonly ChildExit[],
  { pid, exitStatus, exitedAtNs }: Pick<KeptInit, "pid" | "exitStatus" | "exitedAtNs">,
): { readonly pid: Pid; readonly status: number; readonly atNs: bigint } | undefined {
  if (exitStatus !== undefined && exitedAtNs !== undefined)
    return { pid, status: exitStatus, atNs: BigInt(exitedAtNs) };
  const seen = reaped.find((each) => each.pid === pid) ?? sys.peekPid(pid);
  return seen === undefined || isErrno(seen) ? undefined : exitOf(seen, sys.realtimeNs());
}
