// How processes ended, on disk, in the bundle's exits.json: written when an exit is seen, before its zombie is reaped, so
// that `delete` and the moor command can tell the truth after the shim's death. One small file, replaced atomically; records of execs leave
// it when the exec is deleted, so it does not grow with the number of execs.

import { isErrno } from "../sys/errno.ts";
import { must } from "../sys/error.ts";
import { isCostlyJson } from "../sys/json-cost.ts";
import { O_CREAT, O_TRUNC } from "../sys/flags.ts";
import type { Pid, Sys } from "../sys/sys.d.ts";
import { parseRfc3339, rfc3339 } from "./time.ts";

export const exitRecordsFile = "exits.json";

export interface ExitRecord {
  readonly pid: Pid;
  /** 0 to 255; 128 + the signal for a process that was killed. */
  readonly status: number;
  /** Nanoseconds since 1970. */
  readonly atNs: bigint;
  /** What the shim knew of its cause; absent: nothing. For people: `delete` does not read it. */
  readonly cause?: ExitCause;
}

export interface ExitCause {
  /** The signal that has ended it. */
  readonly signal?: number;
  readonly outOfMemory?: true;
  /** The last signal that a client asked for. */
  readonly asked?: { readonly signal: number; readonly at: string; readonly pid: number; readonly uid: number };
}

/** The records of one container, by process: the container's id for init, the exec's id for an exec. */
export class ExitRecords {
  readonly #sys: Sys;
  readonly #bundle: string;
  readonly #records = new Map<string, ExitRecord>();
  #isSaved = true;

  constructor(sys: Sys, bundle: string) {
    this.#sys = sys;
    this.#bundle = bundle;
  }

  /** The records that an image of the program before this one has written. */
  goOn(records: ReadonlyMap<string, ExitRecord>): void {
    for (const [processId, record] of records) this.#records.set(processId, record);
  }

  /** Adds a record and writes the file. @throws MoorError when the disk refuses it; the record stays in memory. */
  add(processId: string, record: ExitRecord): void {
    this.#records.set(processId, record);
    this.#save();
  }

  /** Writes what the disk has refused before. @throws MoorError when it refuses again. */
  retry(): void {
    if (!this.#isSaved) this.#save();
  }

  /** Takes back the record of an exec that has been deleted. @throws MoorError when the disk refuses. */
  remove(processId: string): void {
    if (this.#records.delete(processId)) this.#save();
  }

  #save(): void {
    const path = `${this.#bundle}/${exitRecordsFile}`;
    this.#isSaved = false;
    writeAtomically(this.#sys, path, formatRecords(this.#records), 0o600);
    this.#isSaved = true;
  }
}

/** The records of a bundle; empty when there are none or the file makes no sense. */
export function readExitRecords(sys: Sys, bundle: string): ReadonlyMap<string, ExitRecord> {
  const text = sys.readText(`${bundle}/${exitRecordsFile}`, 16 << 20);
  return isErrno(text) ? new Map<string, ExitRecord>() : parseRecords(text);
}

/** Replaces a file so that a reader sees the old text or the new one, never a part. @throws MoorError. */
export function writeAtomically(sys: Sys, path: string, text: string, mode: number): void {
  const slash = path.lastIndexOf("/");
  const fresh = `${path.slice(0, slash + 1)}.${path.slice(slash + 1)}.new`;
  const written = sys.writeText(fresh, text, O_CREAT | O_TRUNC, mode);
  if (isErrno(written)) sys.unlink(fresh);
  must(written, `write ${fresh}`);
  const renamed = sys.rename(fresh, path);
  if (isErrno(renamed)) sys.unlink(fresh);
  must(renamed, `rename ${fresh} to ${path}`);
}

export function formatRecords(records: ReadonlyMap<string, ExitRecord>): string {
  // Not by assignment: an exec may be called "__proto__".
  const exits = Object.fromEntries(
    [...records].map(([processId, { pid, status, atNs, cause }]) => {
      return [processId, { pid, status, exitedAt: rfc3339(atNs), ...(cause === undefined ? {} : { cause }) }];
    }),
  );
  return `${JSON.stringify({ version: 1, exits })}\n`;
}

/** Reads what formatRecords wrote; entries that make no sense are left out. */
export function parseRecords(text: string): ReadonlyMap<string, ExitRecord> {
  const records = new Map<string, ExitRecord>();
  if (isCostlyJson(text)) return records;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    // A file cut short by a full disk tells nothing; the caller then says it knows nothing.
    return records;
  }
  if (!isObject(parsed) || !isObject(parsed["exits"])) return records;
  for (const [processId, entry] of Object.entries(parsed["exits"])) {
    if (!isObject(entry)) continue;
    const { pid, status, exitedAt } = entry;
    if (!isUint32(pid) || !isUint32(status) || typeof exitedAt !== "string") continue;
    const atNs = parseRfc3339(exitedAt);
    if (atNs !== undefined && atNs >= 0n) records.set(processId, { pid: pid as Pid, status, atNs });
  }
  return records;
}

/** What `delete` answers with has fields of 32 bits. */
function isUint32(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
