// Methods with one request and one response. The common case, and the benchmarked one: a handler that answers at once
// costs no promise.

import type { CallContext, Handler } from "./call.ts";
import { type Codec, decodeMessage } from "./codec.ts";
import { responseFrame } from "./messages.ts";
import { codes } from "./status.ts";

const noBytes = new Uint8Array(0);

/** A method that is a function from request to response. What it throws becomes the call's status. */
export function unary<Q, S>(
  request: Codec<Q>,
  response: Codec<S>,
  fn: (request: Q, context: CallContext) => S | Promise<S>,
): Handler {
  return {
    start(call, payload) {
      try {
        const result = fn(decodeMessage(request, payload ?? noBytes, codes.invalidArgument), call);
        if (isPromise(result)) {
          result
            .then((message) => call.reply(responseFrame(call.id, response.encode(message))))
            .catch((thrown: unknown) => call.fail(thrown));
        } else call.reply(responseFrame(call.id, response.encode(result)));
      } catch (thrown) {
        call.fail(thrown);
      }
    },
  };
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}
