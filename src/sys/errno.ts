// Errno numbers by name, as Linux has them on every architecture Moor is built for, and the tests for "is this
// value of a system call a failure, and which". Names and not sentences: some daemons read "no such file or directory"
// in an error text as a statement about the container's command.

import type { Errno } from "./sys.d.ts";

export const EPERM = -1 as Errno;
export const ENOENT = -2 as Errno;
export const ESRCH = -3 as Errno;
export const EINTR = -4 as Errno;
export const EIO = -5 as Errno;
export const ENXIO = -6 as Errno;
export const EBADF = -9 as Errno;
export const ECHILD = -10 as Errno;
export const EAGAIN = -11 as Errno;
export const ENOMEM = -12 as Errno;
export const EACCES = -13 as Errno;
export const EBUSY = -16 as Errno;
export const EEXIST = -17 as Errno;
export const ENODEV = -19 as Errno;
export const ENOTDIR = -20 as Errno;
export const EISDIR = -21 as Errno;
export const EINVAL = -22 as Errno;
export const ENFILE = -23 as Errno;
export const EMFILE = -24 as Errno;
export const EFBIG = -27 as Errno;
export const ENOSPC = -28 as Errno;
export const EROFS = -30 as Errno;
export const EPIPE = -32 as Errno;
export const ENAMETOOLONG = -36 as Errno;
export const ENOSYS = -38 as Errno;
export const ENOTEMPTY = -39 as Errno;
export const ELOOP = -40 as Errno;
export const EOPNOTSUPP = -95 as Errno;
export const EADDRINUSE = -98 as Errno;
export const ECONNABORTED = -103 as Errno;
export const ECONNRESET = -104 as Errno;
export const ENOTCONN = -107 as Errno;
export const ECONNREFUSED = -111 as Errno;
export const EDQUOT = -122 as Errno;

const names: Readonly<Record<number, string>> = {
  1: "EPERM",
  2: "ENOENT",
  3: "ESRCH",
  4: "EINTR",
  5: "EIO",
  6: "ENXIO",
  7: "E2BIG",
  8: "ENOEXEC",
  9: "EBADF",
  10: "ECHILD",
  11: "EAGAIN",
  12: "ENOMEM",
  13: "EACCES",
  14: "EFAULT",
  15: "ENOTBLK",
  16: "EBUSY",
  17: "EEXIST",
  18: "EXDEV",
  19: "ENODEV",
  20: "ENOTDIR",
  21: "EISDIR",
  22: "EINVAL",
  23: "ENFILE",
  24: "EMFILE",
  25: "ENOTTY",
  26: "ETXTBSY",
  27: "EFBIG",
  28: "ENOSPC",
  29: "ESPIPE",
  30: "EROFS",
  31: "EMLINK",
  32: "EPIPE",
  36: "ENAMETOOLONG",
  38: "ENOSYS",
  39: "ENOTEMPTY",
  40: "ELOOP",
  95: "EOPNOTSUPP",
  98: "EADDRINUSE",
  103: "ECONNABORTED",
  104: "ECONNRESET",
  107: "ENOTCONN",
  110: "ETIMEDOUT",
  111: "ECONNREFUSED",
  117: "EUCLEAN",
  122: "EDQUOT",
};

/** Whether the value of a system call is a failure: a negative number. */
export function isErrno(value: unknown): value is Errno {
  return typeof value === "number" && value < 0;
}

/** "ENOENT" for -2; "errno 130" for one without an entry here. */
export function errnoName(errno: number): string {
  const positive = Math.abs(errno);
  return names[positive] ?? `errno ${positive}`;
}
