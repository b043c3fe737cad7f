// What a failed call of the runtime means. The runtime says why in words only, and each one in words of its own, so
// this is the one file of the shim that looks into such a text: it sorts it into a closed set of failures, each with
// its code. The text itself is passed on verbatim, because clients read it (Docker makes exit codes of it).
// The fixtures beside this file hold what each version of runc and crun really says.

import { type ErrorCode, MoorError } from "../sys/error.ts";

/** What the runtime can be asked. */
export type Operation =
  | "create"
  | "start"
  | "exec"
  | "kill"
  | "delete"
  | "pause"
  | "resume"
  | "update"
  | "checkpoint"
  | "restore"
  | "state"
  | "events"
  | "features"
  | "version";

/**
 * gone: no such container. not_running: it has ended. exists: the id is taken. wrong_state: it is paused, not paused,
 * already started, still running. unsupported: the runtime knows no such command or flag.
 */
export type Failure = "gone" | "not_running" | "exists" | "wrong_state" | "unsupported" | "other";

// What runc says before the failure itself.
const prefix = /^(?:runc (?:create|run|restore) failed: |exec failed: )/;

// First match wins. Each is anchored: a container's command may have any name, also one that reads like a failure.
const patterns: readonly (readonly [Failure, RegExp])[] = [
  ["unsupported", /^(?:unknown command |No help topic for |flag provided but not defined|\S+: unrecognized option ')/],
  ["exists", /^container with (?:given ID already|id) exists|^container [`'][^`']*[`'] already exists$/],
  // crun 1.8 has no word for a container that is not there: the file it keeps about it is missing.
  ["gone", /^error opening file [`'][^`']*\/status[`']: No such file or directory$/],
  ["gone", /^cannot open directory [`'][^`']*[`']: No such file or directory$/],
  ["gone", /^container (?:"[^"]*" |[`'][^`']*[`'] )?does not exist/],
  ["wrong_state", /^the container [`'][^`']*[`'] is (?:paused$|not in [`']created[`'] or [`']stopped[`'] state$)/],
  ["wrong_state", /^cannot (?:start an already running container|delete container \S+ that is not stopped)/],
  ["wrong_state", /^cannot open [`'][^`']*\/exec\.fifo[`']: No such file or directory$/],
  ["wrong_state", /^(?:container (?:not paused|still running|paused)|cannot exec in a paused container)/],
  ["not_running", /^(?:container not running|container with id \S+ is not running|os: process already finished)/],
  ["not_running", /^(?:the )?container [`'][^`']*[`'] is not running/],
  ["not_running", /^cannot (?:exec in a stopped container|start a container that has stopped)/],
  ["not_running", /^(?:open pidfd|send signal to pidfd|kill container): No such process$/],
];

/** Which failure the runtime's own words mean. */
export function classify(text: string): Failure {
  const plain = text.trim().replace(prefix, "");
  for (const [failure, pattern] of patterns) if (pattern.test(plain)) return failure;
  return "other";
}

/** A call of the runtime that ended with an error of its own. */
export class RuntimeError extends MoorError {
  readonly operation: Operation;
  readonly failure: Failure;
  /** It was ended by a signal: it has refused nothing, and may have left its work half done. */
  readonly killed: boolean;

  constructor(operation: Operation, text: string, killed = false) {
    const failure = classify(text);
    super(codeOf(operation, failure), messageOf(operation, failure, text));
    this.name = "RuntimeError";
    this.operation = operation;
    this.failure = failure;
    this.killed = killed;
  }
}

/** Whether the runtime itself has said no, and left nothing then. After any other end it may have done its work, or half of it. */
export function hasRefused(thrown: unknown): boolean {
  return thrown instanceof RuntimeError && !thrown.killed;
}

function codeOf(operation: Operation, failure: Failure): ErrorCode {
  switch (failure) {
    case "gone":
      return "not_found";
    case "not_running":
      // Clients take not_found from Kill for "it is over already" and go on to Wait.
      return operation === "kill" ? "not_found" : "failed_precondition";
    case "exists":
      return "already_exists";
    case "wrong_state":
      return "failed_precondition";
    case "unsupported":
      return "unimplemented";
    case "other":
      return "unknown";
  }
}

function messageOf(operation: Operation, failure: Failure, text: string): string {
  // The words that clients of the stock shim know: "OCI runtime create failed: <the runtime's message>".
  const message = `OCI runtime ${operation} failed: ${text}`;
  if (operation === "kill" && failure === "not_running") return `${message}: process already finished: not found`;
  if (operation === "kill" && failure === "gone") return `${message}: no such container: not found`;
  return message;
}
