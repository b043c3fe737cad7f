// Frames that another process image has left: what they ask for, the refusal of one, and what an answer says.

import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeFrame, frameTypes } from "./frame.ts";
import { decodeResponse, requestFrame, responseFrame } from "./messages.ts";
import { answerOfFrame, methodOfFrame, refusalFrame } from "./resume.ts";
import { codes, StatusError } from "./status.ts";

const request = { service: "a.B", method: "C", payload: Uint8Array.of(1), timeoutNs: 0, metadata: undefined };

test("methodOfFrame: a request's service and method; undefined for what is none", () => {
  assert.deepEqual(methodOfFrame(requestFrame(1, 0, request)), { service: "a.B", method: "C" });
  assert.equal(methodOfFrame(new Uint8Array()), undefined);
  assert.equal(methodOfFrame(encodeFrame(1, frameTypes.data, 0, Uint8Array.of(1))), undefined);
  assert.equal(methodOfFrame(encodeFrame(1, frameTypes.request, 0, Uint8Array.of(0x0a, 99))), undefined);
});

test("refusalFrame: an answer with the status", () => {
  const frame = refusalFrame(7, new StatusError(codes.unavailable, "later"));
  const { status } = decodeResponse(frame, 10, frame.length, false);
  assert.deepEqual([status?.code, status?.message, frame[7]], [codes.unavailable, "later", 7]);
});

test("answerOfFrame: as soon as it is whole", () => {
  const good = responseFrame(1, Uint8Array.of(1, 2, 3));
  for (let length = 0; length < good.length; length++)
    assert.equal(answerOfFrame(good.subarray(0, length)), "incomplete");
  assert.equal(answerOfFrame(good), "ok");
  assert.equal(answerOfFrame(refusalFrame(1, new StatusError(codes.notFound, "no"))), "refused");
  assert.equal(answerOfFrame(encodeFrame(1, frameTypes.response, 0, Uint8Array.of(0x0a, 99))), "refused");
});
