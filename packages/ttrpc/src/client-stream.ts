// Calls with streams, on the client's side: functions beside the client, so that a program without streams does not carry
// them.

import type { CallOptions, Client } from "./client.ts";
import { type Codec } from "./codec.ts";
import { copyOf, frameFlags, frameTypes } from "./frame.ts";
import { Inbox } from "./inbox.ts";
import { decodeResponse } from "./messages.ts";
import { codes, StatusError } from "./status.ts";
import { Outbox, type Receiver, receiverOf, type Sender } from "./stream.ts";

interface Cancellable {
  /** Gives the call up, here and at the server. After its end it does nothing. */
  cancel(): void;
}

/** A call that answers with any number of messages. A loop over it that is left early cancels it. */
export interface ServerStream<S> extends Receiver<S>, Cancellable {}

/** A call where both sides send as they please. */
export interface BidiStream<Q, S> extends Receiver<S>, Sender<Q>, Cancellable {
  /** No more is sent from here; what comes can still be received. */
  closeSend(): Promise<void>;
}

/** A call that takes any number of messages and answers with one. */
export interface ClientStream<Q, S> extends Sender<Q>, Cancellable {
  /** No more is sent; resolves to the answer. @throws StatusError */
  finish(): Promise<S>;
}

const noBytes = new Uint8Array(0);

/** Sends one message and receives many. Never throws: what goes wrong comes out of receive(). */
export function serverStream<Q, S>(
  client: Client,
  service: string,
  method: string,
  request: Codec<Q>,
  response: Codec<S>,
  message: Q,
  options?: CallOptions,
): ServerStream<S> {
  const { inbox, cancel } = open(
    client,
    service,
    method,
    request.encode(message),
    frameFlags.remoteClosed,
    options,
    true,
  );
  return { ...receiverOf(inbox, response, codes.internal, cancel), cancel };
}

/** Sends and receives many messages. Never throws: what goes wrong comes out of send() and receive(). */
export function bidiStream<Q, S>(
  client: Client,
  service: string,
  method: string,
  request: Codec<Q>,
  response: Codec<S>,
  options?: CallOptions,
): BidiStream<Q, S> {
  const { inbox, cancel, outboxOf } = open(client, service, method, undefined, frameFlags.remoteOpen, options, true);
  const outbox = outboxOf(request);
  return {
    ...receiverOf(inbox, response, codes.internal, cancel),
    cancel,
    send: (message) => outbox.send(message),
    closeSend: () => outbox.close(),
  };
}

/** Sends many messages and receives one. Never throws: what goes wrong comes out of send() and finish(). */
export function clientStream<Q, S>(
  client: Client,
  service: string,
  method: string,
  request: Codec<Q>,
  response: Codec<S>,
  options?: CallOptions,
): ClientStream<Q, S> {
  const { inbox, cancel, outboxOf } = open(client, service, method, undefined, frameFlags.remoteOpen, options, false);
  const outbox = outboxOf(request);
  const answer = receiverOf(inbox, response, codes.internal, cancel);
  return {
    cancel,
    send: (message) => outbox.send(message),
    async finish() {
      // Where the stream is over already, its status says more than that it cannot be closed.
      await outbox.close().catch(() => undefined);
      const message = await answer.receive();
      if (message === undefined) throw new StatusError(codes.internal, "the server ended the call without an answer");
      return message;
    },
  };
}

interface OpenStream {
  readonly inbox: Inbox;
  cancel(): void;
  outboxOf<Q>(codec: Codec<Q>): Outbox<Q>;
}

/** `takesData`: whether the server may send data frames, and not only a response. */
function open(
  client: Client,
  service: string,
  method: string,
  payload: Uint8Array | undefined,
  flags: number,
  options: CallOptions | undefined,
  takesData: boolean,
): OpenStream {
  let id = 0;
  let over: StatusError | undefined;
  let outbox: { stop(status: StatusError): void } | undefined;
  const inbox = new Inbox(client, (status) => client.cancel(id, status));
  const finish = (status: StatusError) => {
    over = status;
    outbox?.stop(status);
  };
  id = client.open(service, method, payload, flags, options, {
    frame(type, frameFlag, bytes, start, end, owned) {
      if (type === frameTypes.response) {
        const answer = decodeResponse(bytes, start, end, owned);
        if (answer.status === undefined) {
          inbox.push(answer.payload ?? noBytes);
          inbox.end();
        } else inbox.fail(answer.status);
        finish(answer.status ?? new StatusError(codes.failedPrecondition, "the server has answered"));
        return true;
      }
      const isLast = (frameFlag & frameFlags.remoteClosed) !== 0;
      if ((frameFlag & frameFlags.noData) === 0) {
        if (!takesData) throw new StatusError(codes.internal, "the server streams where one answer was to come");
        inbox.push(owned ? bytes.subarray(start, end) : copyOf(bytes, start, end));
      }
      if (!isLast) return false;
      inbox.end();
      finish(new StatusError(codes.failedPrecondition, "the server has ended the stream"));
      return true;
    },
    fail(status) {
      // Given up: nobody waits for what has come. Otherwise it can still be taken.
      if (status.code === codes.canceled || status.code === codes.deadlineExceeded) inbox.discard(status);
      else inbox.fail(status);
      finish(status);
    },
  });
  return {
    inbox,
    cancel: () => client.cancel(id, new StatusError(codes.canceled, "the call was cancelled")),
    outboxOf(codec) {
      const box = new Outbox(client, id, codec);
      outbox = box;
      if (over !== undefined) box.stop(over);
      return box;
    },
  };
}
