// How a command fails: one sentence for the person, and the exit status that operators' scripts expect. Everything the
// command line prints as its own failure is a CliError; anything else that reaches main is a bug and shows its stack.

/** What the statuses mean; they are those of docker and podman, and stable. */
export const exitCodes = {
  ok: 0,
  /** A command other than run, exec, attach and debug did not do what it was asked. */
  failure: 1,
  /** Wrong usage of a command other than run, exec, attach and debug. */
  usage: 2,
  /** run, exec, attach and debug: moor itself failed, or was used wrongly. */
  tool: 125,
  /** run and exec: the program cannot be executed. */
  cannotInvoke: 126,
  /** run and exec: there is no such program. */
  noSuchProgram: 127,
  /** 128 + N: ended by signal N. */
  signalBase: 128,
} as const;

/** "usage" and "failure" become a status when main knows the command; a number is the status itself. */
export type FailureKind = "failure" | "usage" | number;

export class CliError extends Error {
  readonly kind: FailureKind;

  constructor(message: string, kind: FailureKind = "failure", cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "CliError";
    this.kind = kind;
  }
}

/** Commands whose status is that of a container, so that their own failures must not look like one. */
const containerCommands = new Set(["run", "exec", "attach", "debug"]);

/** The exit status for a failure of `command`. */
export function statusOfFailure(kind: FailureKind, command: string): number {
  if (typeof kind === "number") return kind;
  if (containerCommands.has(command)) return exitCodes.tool;
  return kind === "usage" ? exitCodes.usage : exitCodes.failure;
}

/** 127 or 126 when the runtime's message (runc's or crun's) says that the program could not be executed, 125 otherwise. */
export function statusOfStartFailure(message: string): number {
  if (/executable file (?:`.*` )?not found|no such file or directory/.test(message)) return exitCodes.noSuchProgram;
  if (/permission denied|open executable: Permission denied|exists but it is not executable/.test(message)) {
    return exitCodes.cannotInvoke;
  }
  return exitCodes.tool;
}

/** The text of whatever was thrown. */
export function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** "ENOENT" and the like of a failed system call, or undefined. */
export function errnoOf(thrown: unknown): string | undefined {
  if (typeof thrown !== "object" || thrown === null || !("code" in thrown)) return undefined;
  // Node's own codes, of its misuse, are ERR_SOMETHING.
  return typeof thrown.code === "string" && /^E[A-Z0-9]+$/.test(thrown.code) ? thrown.code : undefined;
}
