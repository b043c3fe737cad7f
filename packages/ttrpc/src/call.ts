// One request on the server's side, from its frame to its answer: what the handler sees of it (metadata, time, whether
// anyone still waits) and the one door through which it is answered, once.

import { type Cancellation, CancelSource } from "./cancellation.ts";
import { headerBytes } from "./frame.ts";
import type { Limits } from "./limits.ts";
import { type Metadata, type Request, statusFrame } from "./messages.ts";
import { type StatusError, tooLong } from "./status.ts";
import type { Deadline, Timers } from "./transport.ts";

/** What a handler is given beside its message. */
export interface CallContext {
  /** Keys are as the client sent them: Go's and ours send lower case. */
  readonly metadata: Metadata;
  /** Milliseconds that the client gave it when the request came; undefined: no deadline. */
  readonly timeoutMs: number | undefined;
  /** Cancelled when the deadline has passed, the client gave up, the connection is over, or a stream was misused. */
  readonly cancellation: Cancellation;
  /** What accept() was given with the connection. */
  readonly peer: unknown;
}

/** A method. Made by unary(), clientStreaming(), serverStreaming() and bidiStreaming(). */
export interface Handler {
  /** Runs the method; ends, now or later, with one call of reply() or fail(). Does not throw. */
  start(call: Call, payload: Uint8Array | undefined, flags: number): void;
}

/** Where data frames of a stream go. */
export interface CallInput {
  /** A message has come. @throws StatusError when it cannot be taken; the call ends with it. */
  data(payload: Uint8Array): void;
  /** No more messages come. */
  end(): void;
  readonly ended: boolean;
}

/** What a call needs of its connection. */
export interface CallOwner {
  readonly peer: unknown;
  readonly limits: Limits;
  readonly timers: Timers;
  /** The server's clock, milliseconds; 0 where it has none. */
  now(): number;
  statusOf(thrown: unknown): StatusError;
  /** Sends a frame of an open call; or says why not: the peer leaves too much untaken. */
  send(frame: Uint8Array): StatusError | undefined;
  /** Sends the frame of a status, which are short, whatever else is queued. */
  sendStatus(frame: Uint8Array): void;
  /** As in Link, for the frames of streams. */
  write(frame: Uint8Array): boolean;
  enqueue(write: () => void): void;
  hold(): void;
  unhold(): void;
  /** The call is over for the peer. */
  answered(call: Call): void;
  /** The call's handler has ended. */
  settled(call: Call): void;
}

const noMetadata: Metadata = new Map();

export class Call extends CancelSource implements CallContext {
  readonly id: number;
  readonly metadata: Metadata;
  readonly timeoutMs: number | undefined;
  /** The size of its request, for the connection's account. */
  readonly requestBytes: number;
  /** Of the method, without the service. */
  readonly method: string;
  /** By the server's clock; 0 where it has none. */
  readonly sinceMs: number;
  readonly owner: CallOwner;
  input: CallInput | undefined;
  deadline: Deadline | undefined;
  /** Nothing more goes out for it. */
  isAnswered = false;
  #endings: (() => void)[] | undefined;

  constructor(owner: CallOwner, id: number, request: Request, timeoutMs: number, requestBytes: number) {
    super();
    this.owner = owner;
    this.id = id;
    this.metadata = request.metadata ?? noMetadata;
    this.method = request.method;
    this.sinceMs = owner.now();
    this.timeoutMs = timeoutMs > 0 ? timeoutMs : undefined;
    this.requestBytes = requestBytes;
  }

  get cancellation(): Cancellation {
    return this;
  }

  get peer(): unknown {
    return this.owner.peer;
  }

  /** Has fn called when the call is over for the peer, however that comes. */
  onEnd(fn: () => void): void {
    this.#endings ??= [];
    this.#endings.push(fn);
  }

  /** The handler has ended well, and this frame is its last. */
  reply(frame: Uint8Array): void {
    if (!this.isAnswered) this.#answer(frame);
    this.owner.settled(this);
  }

  /** The handler has thrown. */
  fail(thrown: unknown): void {
    if (!this.isAnswered) this.#endWith(this.owner.statusOf(thrown));
    this.owner.settled(this);
  }

  /** The call is over before its handler is: it is answered with the status, and the handler told to stop. */
  abandon(status: StatusError): void {
    if (this.isAnswered) return;
    this.cancel();
    this.#endWith(status);
  }

  /** The call is over and nobody waits for an answer. */
  drop(): void {
    if (this.isAnswered) return;
    this.cancel();
    this.#finish();
  }

  #answer(frame: Uint8Array): void {
    const bytes = frame.length - headerBytes;
    if (bytes > this.owner.limits.maxMessageBytes) {
      this.#endWith(tooLong(bytes, this.owner.limits.maxMessageBytes));
      return;
    }
    const refusal = this.owner.send(frame);
    if (refusal !== undefined) this.#endWith(refusal);
    else this.#finish();
  }

  #endWith(status: StatusError): void {
    const { maxMessageBytes } = this.owner.limits;
    const frame = statusFrame(this.id, status);
    const bytes = frame.length - headerBytes;
    const refusal = bytes > maxMessageBytes ? tooLong(bytes, maxMessageBytes) : this.owner.send(frame);
    if (refusal !== undefined) this.owner.sendStatus(statusFrame(this.id, refusal));
    this.#finish();
  }

  #finish(): void {
    if (this.isAnswered) return;
    this.isAnswered = true;
    this.deadline?.stop();
    this.owner.answered(this);
    const endings = this.#endings;
    this.#endings = undefined;
    if (endings !== undefined) for (const fn of endings) fn();
  }
}
