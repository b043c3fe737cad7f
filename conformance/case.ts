// What a case of the conformance suite is, and the words it judges with: a demand that is not met is a Shortfall with one
// clear sentence, a case that does not concern the shim under test is NotApplicable with a reason.

import { StatusError } from "../test/harness/raw-ttrpc.ts";
import type { Ground } from "./ground.ts";

export interface Case {
  /** "group.name"; stable, as others refer to it. */
  readonly id: string;
  /** What the case is about, in a few words. */
  readonly title: string;
  /** What a shim must do. */
  readonly demand: string;
  /** Who suffers when it does not. */
  readonly why: string;
  /** Where the demand comes from. */
  readonly source: string;
  /** How long the case may take; 30 s when it is not given. */
  readonly limitMs?: number;
  /** Takes most of a minute or more: run only when asked for. */
  readonly isSlow?: boolean;
  run(ground: Ground): Promise<void>;
}

/** The shim does not do what is demanded. */
export class Shortfall extends Error {}

/** The case says nothing about this shim. */
export class NotApplicable extends Error {}

const codeNames: Readonly<Record<number, string>> = {
  1: "Canceled",
  2: "Unknown",
  3: "InvalidArgument",
  4: "DeadlineExceeded",
  5: "NotFound",
  6: "AlreadyExists",
  8: "ResourceExhausted",
  9: "FailedPrecondition",
  12: "Unimplemented",
  13: "Internal",
  14: "Unavailable",
};
const longestQuote = 160;

/** gRPC's codes, as far as the cases name them. */
export const Code = {
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
} as const;

export function nameOfCode(code: number): string {
  return codeNames[code] ?? `code ${code}`;
}

/** A status as it stands in a sentence. */
export function quoteStatus(fault: StatusError): string {
  return `${nameOfCode(fault.code)} ("${shorten(fault.message)}")`;
}

/** One line, not too long. */
export function shorten(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length <= longestQuote ? line : `${line.slice(0, longestQuote)}...`;
}

/** @throws Shortfall with the sentence when the condition does not hold. */
export function demand(condition: boolean, sentence: string | (() => string)): asserts condition {
  if (!condition) throw new Shortfall(typeof sentence === "string" ? sentence : sentence());
}

/** @throws Shortfall when the two are not the same text in JSON. */
export function same(what: string, actual: unknown, wanted: unknown): void {
  const [is, should] = [inJson(actual), inJson(wanted)];
  demand(is === should, () => `${what} is ${shorten(is)} and not ${shorten(should)}`);
}

/** @throws NotApplicable */
export function doesNotApply(reason: string): never {
  throw new NotApplicable(reason);
}

/** The status that a call must be refused with. @throws Shortfall when it is accepted or refused with another code. */
export async function refused(what: string, call: Promise<unknown>, ...codes: number[]): Promise<StatusError> {
  const fault = await faultOf(what, call);
  const wanted = codes.map(nameOfCode).join(" or ");
  demand(
    codes.length === 0 || codes.includes(fault.code),
    () => `${what} is refused with ${quoteStatus(fault)} and not with ${wanted}`,
  );
  return fault;
}

/** The status that a call ends with, whatever its code. @throws Shortfall when it is accepted or is not answered. */
export async function faultOf(what: string, call: Promise<unknown>): Promise<StatusError> {
  const fault: unknown = await call.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  demand(fault !== undefined, `${what} is accepted`);
  if (fault instanceof StatusError) return fault;
  throw new Shortfall(`${what} is not answered: ${shorten((fault as Error).message)}`);
}

function inJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => (typeof part === "bigint" ? `${part}` : part)) ?? "undefined";
}
