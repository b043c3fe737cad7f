// The one error class of the shim, and the door through which a failed system call becomes one. `code` is a closed set
// that maps to gRPC codes in one table and never changes its meaning; the text is for people and may change.

import { EDQUOT, EMFILE, ENFILE, ENOMEM, ENOSPC, errnoName, isErrno } from "./errno.ts";
import type { Errno } from "./sys.d.ts";

/** The gRPC codes Moor answers with, by name. */
export const grpcCodes = {
  canceled: 1,
  unknown: 2,
  invalid_argument: 3,
  deadline_exceeded: 4,
  not_found: 5,
  already_exists: 6,
  permission_denied: 7,
  resource_exhausted: 8,
  failed_precondition: 9,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

export type ErrorCode = keyof typeof grpcCodes;

/** What Moor throws: a code for programs and one sentence for people (lower case: what was tried, on what, why). */
export class MoorError extends Error {
  readonly code: ErrorCode;
  /** The errno of the system call that failed, negative; absent when no system call did. */
  readonly errno: Errno | undefined;

  constructor(code: ErrorCode, message: string, details: { cause?: unknown; errno?: Errno } = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "MoorError";
    this.code = code;
    this.errno = details.errno;
  }

  /** The only place that widens: a MoorError stays what it is, anything else becomes `unknown` with its own text. */
  static from(thrown: unknown): MoorError {
    if (thrown instanceof MoorError) return thrown;
    const text = thrown instanceof Error ? thrown.message : String(thrown);
    return new MoorError("unknown", text, { cause: thrown });
  }

  /** The same error with "what: " put before its text. */
  static wrap(what: string, thrown: unknown): MoorError {
    const inner = MoorError.from(thrown);
    const details = inner.errno === undefined ? { cause: inner } : { cause: inner, errno: inner.errno };
    return new MoorError(inner.code, `${what}: ${inner.message}`, details);
  }
}

/** Space on a disk, fds, memory. */
const runOut: readonly number[] = [ENOSPC, EDQUOT, EMFILE, ENFILE, ENOMEM];

/**
 * The value of a system call, or a MoorError that names what was tried: `must(sys.open(p, …), `open ${p}`)`.
 * @throws MoorError with the errno; without a code, resource_exhausted where something has run out, else unknown.
 */
export function must<T>(value: T | Errno, what: string, code?: ErrorCode): Exclude<T, Errno> {
  if (isErrno(value)) {
    const fallback = runOut.includes(value) ? "resource_exhausted" : "unknown";
    throw new MoorError(code ?? fallback, `${what}: ${errnoName(value)}`, { errno: value });
  }
  return value as Exclude<T, Errno>;
}
