// The client: many calls at once on one connection. Each call ends by itself (answer, deadline, cancellation), and all of
// them when the connection does. Reading never rests because writing does, so that no two peers wait for each other.

import type { Cancellation } from "./cancellation.ts";
import { type Codec, decodeMessage } from "./codec.ts";
import { encodeFrame, frameTypes, headerBytes } from "./frame.ts";
import { defaultLimits, type Limits } from "./limits.ts";
import { Link, type LinkOwner } from "./link.ts";
import { decodeResponse, type Metadata, requestFrame } from "./messages.ts";
import { codes, StatusError, tooLong } from "./status.ts";
import { Deadline, type Timers, type Transport } from "./transport.ts";

export interface ClientOptions {
  readonly timers: Timers;
  /** 4 MiB, as the protocol says, where absent. */
  readonly maxMessageBytes?: number;
  /** Other limits; see limits.ts for what they are where absent. */
  readonly limits?: Partial<Limits>;
}

export interface CallOptions {
  /** The call ends with DeadlineExceeded after this, here and at the server. Absent or 0: no deadline. */
  readonly timeoutMs?: number | undefined;
  /** Keys are sent in lower case. */
  readonly metadata?: Metadata | undefined;
  /** The call ends with Canceled, here and (if it listens: PROTOCOL.md, Cancelling) at the server. */
  readonly cancellation?: Cancellation | undefined;
}

/** What takes the frames of one stream. Either method is the last to be called when it says so or it is over. */
export interface ClientCall {
  /** A frame of type response or data; true: the call is over. The bytes are the callee's own if `owned`. */
  frame(type: number, flags: number, bytes: Uint8Array, start: number, end: number, owned: boolean): boolean;
  fail(status: StatusError): void;
}

const nsPerMs = 1e6;
const noBytes = new Uint8Array(0);
const lastId = 0xffffffff;
/** As much of an int64 as a number can say; 292 years. */
const longestNs = 2 ** 63 - 1024;

export class Client implements LinkOwner {
  /** Resolves when the connection is over, whoever ended it. Never rejects. */
  readonly closed: Promise<void>;
  readonly timers: Timers;
  readonly limits: Limits;
  readonly share = undefined;
  readonly #link: Link;
  readonly #calls = new Map<number, ClientCall>();
  #nextId = 1;
  /** Why it is over, once it is. */
  #over: StatusError | undefined;
  #settleClosed: () => void = () => undefined;

  constructor(transport: Transport, options: ClientOptions) {
    this.timers = options.timers;
    this.limits = { ...defaultLimits, ...options.limits };
    if (options.maxMessageBytes !== undefined) {
      this.limits = { ...this.limits, maxMessageBytes: options.maxMessageBytes };
    }
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    this.#link = new Link(transport, this.limits, this, false);
    this.#link.start();
  }

  /** One request, one response. @throws StatusError, and nothing else but what the codecs throw. */
  call<Q, S>(
    service: string,
    method: string,
    request: Codec<Q>,
    response: Codec<S>,
    message: Q,
    options?: CallOptions,
  ): Promise<S> {
    return new Promise((resolve, reject) => {
      const payload = request.encode(message);
      this.open(service, method, payload, 0, options, {
        frame(type, _flags, bytes, start, end, owned) {
          if (type !== frameTypes.response) throw new StatusError(codes.internal, "stream data came for a plain call");
          const answer = decodeResponse(bytes, start, end, owned);
          if (answer.status !== undefined) reject(answer.status);
          else resolve(decodeMessage(response, answer.payload ?? noBytes, codes.internal));
          return true;
        },
        fail: reject,
      });
    });
  }

  /** Calls under way. */
  get calls(): number {
    return this.#calls.size;
  }

  /** Ends the calls under way with Canceled, and closes the connection once what was sent is out. */
  close(): void {
    this.#end(new StatusError(codes.canceled, "the client was closed"));
    this.#link.close();
  }

  /**
   * Sends a request, as soon as the server takes it, and has its stream's frames go to `call`; what it throws ends the
   * call. For the modules of this package: users have call() and the stream functions. Returns the stream's id; 0 when
   * the call has failed already.
   */
  open(
    service: string,
    method: string,
    payload: Uint8Array | undefined,
    flags: number,
    options: CallOptions | undefined,
    call: ClientCall,
  ): number {
    const { timeoutMs = 0, metadata, cancellation } = options ?? {};
    const id = this.#nextId;
    const refusal = this.#refusal(options);
    if (refusal !== undefined) {
      call.fail(refusal);
      return 0;
    }
    this.#nextId += 2;
    const isBounded = timeoutMs > 0 || cancellation !== undefined;
    this.#calls.set(id, isBounded ? this.#bounded(id, call, timeoutMs, cancellation) : call);
    // In line with all else that waits for the server to read, so that ids go up on the wire, too.
    this.#link.enqueue(() => {
      if (!this.#calls.has(id)) return;
      const timeoutNs = Math.min(Math.ceil(timeoutMs * nsPerMs), longestNs);
      const frame = requestFrame(id, flags, { service, method, payload, timeoutNs, metadata });
      const bytes = frame.length - headerBytes;
      const { maxMessageBytes } = this.limits;
      if (bytes > maxMessageBytes) this.fail(id, tooLong(bytes, maxMessageBytes));
      else this.#link.send(frame);
    });
    return id;
  }

  write(frame: Uint8Array): boolean {
    return this.#link.send(frame);
  }

  enqueue(write: () => void): void {
    this.#link.enqueue(write);
  }

  hold(): void {
    this.#link.hold();
  }

  unhold(): void {
    this.#link.unhold();
  }

  frame(id: number, type: number, flags: number, bytes: Uint8Array, start: number, end: number, owned: boolean): void {
    const call = this.#calls.get(id);
    // An answer to a call that ended here before: deadline or cancellation.
    if (call === undefined || (type !== frameTypes.response && type !== frameTypes.data)) return;
    try {
      if (call.frame(type, flags, bytes, start, end, owned)) this.#calls.delete(id);
    } catch (thrown) {
      const text = thrown instanceof Error ? thrown.message : String(thrown);
      const isStatus = thrown instanceof StatusError;
      this.cancel(id, isStatus ? thrown : new StatusError(codes.internal, text, [], { cause: thrown }));
    }
  }

  oversized(id: number, _type: number, length: number): void {
    this.cancel(id, tooLong(length, this.limits.maxMessageBytes));
  }

  /** Nobody counts what a client holds, so this does not come. */
  noRoom(id: number, type: number, length: number): void {
    this.oversized(id, type, length);
  }

  ended(error: Error | undefined): void {
    this.#end(closedStatus(error));
    this.#settleClosed();
  }

  /** Ends a call here; the server is told with cancel(). */
  fail(id: number, status: StatusError): void {
    const call = this.#calls.get(id);
    if (call === undefined) return;
    this.#calls.delete(id);
    call.fail(status);
  }

  /** Ends a call here and tells the server that nobody waits for it. */
  cancel(id: number, status: StatusError): void {
    if (!this.#calls.has(id)) return;
    this.#link.send(encodeFrame(id, frameTypes.cancel, 0));
    this.fail(id, status);
  }

  #end(status: StatusError): void {
    this.#over ??= status;
    for (const id of [...this.#calls.keys()]) this.fail(id, this.#over);
  }

  /** Why no call can begin. */
  #refusal(options: CallOptions | undefined): StatusError | undefined {
    if (this.#over !== undefined) return new StatusError(codes.unavailable, this.#over.message);
    if (options?.cancellation?.cancelled === true) return new StatusError(codes.canceled, "the call was cancelled");
    if (this.#nextId > lastId) return new StatusError(codes.unavailable, "the connection has used up its stream ids");
    return undefined;
  }

  /** The call with a deadline, a cancellation, or both, which end with it. */
  #bounded(id: number, call: ClientCall, timeoutMs: number, cancellation: Cancellation | undefined): ClientCall {
    let deadline: Deadline | undefined;
    if (timeoutMs > 0) {
      deadline = new Deadline(this.timers, timeoutMs, () => {
        this.fail(id, new StatusError(codes.deadlineExceeded, `no answer within ${timeoutMs} ms`));
      });
    }
    const forget = cancellation?.onCancel(() =>
      this.cancel(id, new StatusError(codes.canceled, "the call was cancelled")),
    );
    const done = () => {
      deadline?.stop();
      forget?.();
    };
    return {
      frame: (type, flags, bytes, start, end, owned) => {
        const isOver = call.frame(type, flags, bytes, start, end, owned);
        if (isOver) done();
        return isOver;
      },
      fail: (status) => {
        done();
        call.fail(status);
      },
    };
  }
}

function closedStatus(cause: Error | undefined): StatusError {
  const text = cause === undefined ? "the connection is closed" : `the connection is closed: ${cause.message}`;
  return new StatusError(codes.unavailable, text, [], { cause });
}
