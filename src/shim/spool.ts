// Where events wait when the daemon takes none: a file of records in the bundle, held by fd while the shim lives, and the
// file that a shim leaves behind when it has to go before the daemon has taken everything.

import { EINTR, isErrno } from "../sys/errno.ts";
import { MoorError, must } from "../sys/error.ts";
import { O_CREAT, O_RDONLY, O_RDWR, O_TRUNC } from "../sys/flags.ts";
import type { Fd, Sys } from "../sys/sys.d.ts";
import { keepsNoEvents, type KeptEvents, type SpoolState } from "./kept-events.ts";

/** In the bundle. It is there only when a shim has left with events that nobody took: the whole of them, in order. */
export const leftEventsFile = "events.left";

/** A shim's events of the longest life are a few megabytes; what is longer is no file of ours. */
const longestRecord = 4 << 20;
const mostRecords = 1 << 20;

/**
 * A file of records, each a 4-byte length (big endian) and its bytes: appended at the end, taken from the front, begun anew
 * when all is taken. Nothing is created before the first record.
 */
export class Spool {
  readonly #sys: Sys;
  readonly #path: string;
  #fd: Fd | undefined;
  #start = 0;
  #end = 0;
  count = 0;
  readonly #kept: Pick<KeptEvents, "spoolChanged">;

  constructor(sys: Sys, path: string, kept: Pick<KeptEvents, "spoolChanged"> = keepsNoEvents, resumed?: SpoolState) {
    this.#sys = sys;
    this.#path = path;
    this.#kept = kept;
    if (resumed === undefined) return;
    this.#fd = resumed.fd;
    this.#start = resumed.start;
    this.#end = resumed.end;
    this.count = resumed.count;
  }

  /** Keeps the account; after take(), once what it gave is in other hands. A file of which all is taken begins anew. */
  settle(): void {
    const isAllTaken = this.count === 0;
    if (isAllTaken) {
      this.#start = 0;
      this.#end = 0;
    }
    this.#kept.spoolChanged(() => ({ fd: this.#fd, start: this.#start, end: this.#end, count: this.count }));
    // Failing to shorten the file costs disk only: the offsets start over and overwrite it.
    if (isAllTaken && this.#fd !== undefined) this.#sys.ftruncate(this.#fd, 0);
  }

  get empty(): boolean {
    return this.count === 0;
  }

  /** @throws MoorError when the disk refuses; the file is then as before. */
  append(record: Uint8Array): void {
    this.#fd ??= this.#open();
    const framed = new Uint8Array(4 + record.length);
    new DataView(framed.buffer).setUint32(0, record.length);
    framed.set(record, 4);
    const sought = this.#sys.seek(this.#fd, this.#end);
    if (isErrno(sought)) throw new MoorError("unknown", `seek in ${this.#path}`, { errno: sought });
    let done = 0;
    while (done < framed.length) {
      const count = this.#sys.write(this.#fd, framed, done, framed.length - done);
      if (isErrno(count)) throw new MoorError("unknown", `write ${this.#path}`, { errno: count });
      done += count;
    }
    this.#end += framed.length;
    this.count++;
    this.settle();
  }

  /** The oldest records, at least one, at most about limitBytes. @throws MoorError when the first cannot be read. */
  take(limitBytes: number): Uint8Array[] {
    const records: Uint8Array[] = [];
    for (let bytes = 0; this.count > 0 && bytes < limitBytes; ) {
      try {
        const header = this.#readAt(this.#start, 4);
        const record = this.#readAt(this.#start + 4, new DataView(header.buffer).getUint32(0));
        records.push(record);
        this.#start += 4 + record.length;
        bytes += record.length;
        this.count--;
      } catch (thrown) {
        // Those read before it are good.
        if (records.length === 0) throw thrown;
        break;
      }
    }
    return records;
  }

  /** Forgets all records, and says how many. */
  discard(): number {
    const { count } = this;
    this.count = 0;
    this.settle();
    return count;
  }

  close(): void {
    if (this.#fd !== undefined) this.#sys.close(this.#fd);
    this.#fd = undefined;
  }

  #open(): Fd {
    const fd = this.#sys.open(this.#path, O_RDWR | O_CREAT | O_TRUNC, 0o600);
    if (isErrno(fd)) throw new MoorError("unknown", `open ${this.#path}`, { errno: fd });
    return fd;
  }

  #readAt(offset: number, length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    const fd = this.#fd as Fd;
    this.#sys.seek(fd, offset);
    for (let done = 0; done < length; ) {
      const count = this.#sys.read(fd, bytes, done, length - done);
      if (count === EINTR) continue;
      must(count, `read ${this.#path}`);
      if (count === 0) throw new MoorError("internal", `${this.#path} is shorter than its records`);
      done += count;
    }
    return bytes;
  }
}

/** All records of a spool's file; those before the first that makes no sense. None when there is no file. */
export function readRecords(sys: Sys, path: string): Uint8Array[] {
  const fd = sys.open(path, O_RDONLY, 0);
  if (isErrno(fd)) return [];
  const records: Uint8Array[] = [];
  for (let header = readFull(sys, fd, 4); header !== undefined; header = readFull(sys, fd, 4)) {
    const length = new DataView(header.buffer).getUint32(0);
    const record = length > longestRecord ? undefined : readFull(sys, fd, length);
    if (record === undefined || records.length >= mostRecords) break;
    records.push(record);
  }
  sys.close(fd);
  return records;
}

function readFull(sys: Sys, fd: Fd, length: number): Uint8Array<ArrayBuffer> | undefined {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const count = sys.read(fd, bytes, done, length - done);
    if (count === EINTR) continue;
    if (isErrno(count) || count === 0) return undefined;
    done += count;
  }
  return bytes;
}
