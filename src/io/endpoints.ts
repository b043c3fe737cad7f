// The outer ends of streams: FIFOs of clients, files, devices. Nothing here waits for anybody: a FIFO is opened on both
// sides at once, so that it has a reader and a writer whoever else comes and goes.

import { EACCES, EEXIST, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, ENXIO, isErrno } from "../sys/errno.ts";
import { must } from "../sys/error.ts";
import { O_APPEND, O_CREAT, O_NOCTTY, O_NONBLOCK, O_RDONLY, O_WRONLY, S_IFIFO, S_IFMT } from "../sys/flags.ts";
import type { Errno, Fd, Sys } from "../sys/sys.d.ts";
import type { StreamName } from "./stream.ts";

export interface Endpoint {
  readonly fd: Fd;
  /** The other side of a FIFO; absent for what is none. */
  readonly kept?: Fd;
}

/** The shim leads a session without a terminal: a device it opens must not become one. */
const openFlags = O_NONBLOCK | O_NOCTTY;

/**
 * Opens what a process's output goes to: a FIFO; anything else that is there is appended to, as by the stock shim.
 * @throws MoorError that names stream and path. Nothing is made: a FIFO that is missing is its client's fault.
 */
export function openOutputPath(sys: Sys, stream: StreamName, path: string): Endpoint {
  return isFifo(sys, stream, path)
    ? openFifo(sys, stream, path)
    : { fd: mustOpen(sys.open(path, O_WRONLY | O_APPEND | openFlags, 0), `open ${stream} ${path}`) };
}

/**
 * Opens what a process's input comes from.
 * @throws MoorError that names stream and path.
 */
export function openInputPath(sys: Sys, path: string): Endpoint {
  return isFifo(sys, "stdin", path)
    ? openFifo(sys, "stdin", path)
    : { fd: mustOpen(sys.open(path, O_RDONLY | openFlags, 0), `open stdin ${path}`) };
}

/**
 * Opens a log file to append to, made with its folders when it is missing (modes 0755 and 0644, as the stock shim has it).
 * @throws MoorError that names stream and path.
 */
export function openLogFile(sys: Sys, stream: StreamName, path: string): Endpoint {
  for (let slash = path.indexOf("/", 1); slash > 0; slash = path.indexOf("/", slash + 1)) {
    const folder = path.slice(0, slash);
    if (!isErrno(sys.stat(folder))) continue;
    const made = sys.mkdir(folder, 0o755);
    if (made !== EEXIST) mustOpen(made, `make ${folder} for ${stream}`);
  }
  const flags = O_WRONLY | O_APPEND | O_CREAT | openFlags;
  return { fd: mustOpen(sys.open(path, flags, 0o644), `open ${stream} ${path}`) };
}

function isFifo(sys: Sys, stream: StreamName, path: string): boolean {
  return (mustOpen(sys.stat(path), `open ${stream} ${path}`).mode & S_IFMT) === S_IFIFO;
}

/** The reading side first: only it opens without a partner. */
function openFifo(sys: Sys, stream: StreamName, path: string): Endpoint {
  const what = `open ${stream} FIFO ${path}`;
  const readFd = mustOpen(sys.open(path, O_RDONLY | openFlags, 0), what);
  try {
    const writeFd = mustOpen(sys.open(path, O_WRONLY | openFlags, 0), what);
    return stream === "stdin" ? { fd: readFd, kept: writeFd } : { fd: writeFd, kept: readFd };
  } catch (thrown) {
    sys.close(readFd);
    throw thrown;
  }
}

/** What these say is that the address leads nowhere: the fault of who sent it. */
const addressFaults: readonly number[] = [EACCES, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, ENXIO];

function mustOpen<T>(value: T | Errno, what: string): Exclude<T, Errno> {
  return must(value, what, isErrno(value) && addressFaults.includes(value) ? "invalid_argument" : undefined);
}
