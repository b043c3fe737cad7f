// What a refusal must be: the right code, one clear sentence that names what it is about, no phrase in which a daemon
// sees something else, and a shim that serves on.

import assert from "node:assert/strict";
import type { DirectShim, Method, RequestOf } from "./direct-shim.ts";
import { StatusError } from "./raw-ttrpc.ts";

/** gRPC's codes, as far as refusals have them. */
export const Code = {
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
} as const;

/** Texts in which Docker sees something else than meant, and which only the runtime's own words may hold. */
const MISLEADING = /no such container|container does not exist|executable file not found|permission denied/i;
/** More than this is no sentence. The runtime's own words may be longer. */
const LONGEST = 600;

/** The error that a call ends with. @throws AssertionError when it has none, or none with a code. */
export async function faultOf(what: string, call: Promise<unknown>): Promise<StatusError> {
  const fault: unknown = await call.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  assert.ok(fault instanceof StatusError, `${what} was not refused with a code: ${String(fault)}`);
  return fault;
}

/** A call that must be refused with one of these codes, in one sentence that matches; the shim must serve on. */
export async function refused<M extends Method>(
  shim: DirectShim,
  method: M,
  fields: Partial<RequestOf<M>>,
  codes: readonly number[],
  words: RegExp | string,
): Promise<StatusError> {
  const fault = await faultOf(method, shim.call(method, fields));
  assertSentence(method, fault, codes, words);
  assert.doesNotMatch(fault.message, MISLEADING, method);
  await shim.call("Connect");
  return fault;
}

/** The same of an error at hand, without the rule on phrases: the runtime may say what it likes. */
export function assertSentence(
  what: string,
  fault: StatusError,
  codes: readonly number[],
  words: RegExp | string,
): void {
  assert.ok(codes.includes(fault.code), `${what}: code ${fault.code}, ${fault.message.slice(0, LONGEST)}`);
  assert.ok(fault.message.length <= LONGEST, `${what}: an error of ${fault.message.length} characters`);
  // oxlint-disable-next-line no-control-regex -- control characters are what must not be there
  assert.doesNotMatch(fault.message, /[\u0000-\u001f\u007f]/, `${what}: more than one line`);
  if (typeof words === "string") assert.ok(fault.message.includes(words), `${what}: ${fault.message}`);
  else assert.match(fault.message, words, what);
}
