// Methods with streams, on the server's side. A server without them does not need this file.

import type { Call, CallContext, CallInput, Handler } from "./call.ts";
import type { Codec } from "./codec.ts";
import { decodeMessage } from "./codec.ts";
import { encodeFrame, frameFlags, frameTypes } from "./frame.ts";
import { Inbox } from "./inbox.ts";
import { responseFrame } from "./messages.ts";
import { codes, StatusError } from "./status.ts";
import { Outbox, type Receiver, receiverOf, type Sender } from "./stream.ts";

const noBytes = new Uint8Array(0);

/** A method that takes any number of messages and answers with one. */
export function clientStreaming<Q, S>(
  request: Codec<Q>,
  response: Codec<S>,
  fn: (input: Receiver<Q>, context: CallContext) => S | Promise<S>,
): Handler {
  return {
    start(call, payload, flags) {
      const input = openInput(call, request, payload, flags);
      run(call, async () => {
        const message = await fn(input, call);
        call.reply(responseFrame(call.id, response.encode(message)));
      });
    },
  };
}

/** A method that takes one message and answers with any number. It ends when the promise that fn returns is settled. */
export function serverStreaming<Q, S>(
  request: Codec<Q>,
  response: Codec<S>,
  fn: (message: Q, output: Sender<S>, context: CallContext) => void | Promise<void>,
): Handler {
  return {
    start(call, payload, flags) {
      call.input = onlyEnd(flags);
      const output = openOutput(call, response);
      run(call, async () => {
        await fn(decodeMessage(request, payload ?? noBytes, codes.invalidArgument), output, call);
        endOutput(call);
      });
    },
  };
}

/** A method where both sides send as they please. It ends when the promise that fn returns is settled. */
export function bidiStreaming<Q, S>(
  request: Codec<Q>,
  response: Codec<S>,
  fn: (input: Receiver<Q>, output: Sender<S>, context: CallContext) => void | Promise<void>,
): Handler {
  return {
    start(call, payload, flags) {
      const input = openInput(call, request, payload, flags);
      const output = openOutput(call, response);
      run(call, async () => {
        await fn(input, output, call);
        endOutput(call);
      });
    },
  };
}

function run(call: Call, body: () => Promise<void>): void {
  body().catch((thrown: unknown) => call.fail(thrown));
}

/** The stream's first message may come with the request; whether more come is said by its flags. */
function openInput<Q>(call: Call, codec: Codec<Q>, payload: Uint8Array | undefined, flags: number): Receiver<Q> {
  const inbox = new Inbox(call.owner, (status) => call.abandon(status));
  const isPlain = (flags & (frameFlags.remoteOpen | frameFlags.remoteClosed)) === 0;
  // An empty message leaves no trace in a request; only a plain one is known to have it.
  if (payload !== undefined || isPlain) inbox.push(payload ?? noBytes);
  if ((flags & frameFlags.remoteOpen) === 0) inbox.end();
  call.input = inputOf(inbox);
  call.onEnd(() => inbox.discard(overStatus(call)));
  return receiverOf(inbox, codec, codes.invalidArgument, () =>
    inbox.discard(new StatusError(codes.canceled, "the reader has left")),
  );
}

function inputOf(inbox: Inbox): CallInput {
  return {
    data: (payload) => inbox.push(payload),
    end: () => inbox.end(),
    get ended() {
      return inbox.ended;
    },
  };
}

/** The input of a method that has had its one message: its sender may still say that there are no more. */
function onlyEnd(flags: number): CallInput {
  let ended = (flags & frameFlags.remoteOpen) === 0;
  return {
    data() {
      throw new StatusError(codes.invalidArgument, "data on a stream whose method takes one message");
    },
    end() {
      ended = true;
    },
    get ended() {
      return ended;
    },
  };
}

function openOutput<S>(call: Call, codec: Codec<S>): Sender<S> {
  const outbox = new Outbox(call.owner, call.id, codec);
  call.onEnd(() => outbox.stop(overStatus(call)));
  return outbox;
}

/** After what was sent and still waits. */
function endOutput(call: Call): void {
  const flags = frameFlags.remoteClosed | frameFlags.noData;
  call.owner.enqueue(() => call.reply(encodeFrame(call.id, frameTypes.data, flags)));
}

function overStatus(call: Call): StatusError {
  return new StatusError(codes.canceled, call.cancelled ? "the call was cancelled" : "the call is over");
}
