// Messages of one stream that have come and were not yet asked for. The protocol cannot tell one stream's sender to wait,
// only the whole connection can: so a full inbox has the connection's reading rest, but not for long. A reader that does
// not make room within that time loses its stream, and its neighbours go on.

import { type Limits, messageOverheadBytes } from "./limits.ts";
import { codes, StatusError } from "./status.ts";
import type { Timers } from "./transport.ts";

/** Whose reading rests when an inbox is full. */
export interface InboxOwner {
  readonly limits: Limits;
  readonly timers: Timers;
  hold(): void;
  unhold(): void;
}

interface Waiter {
  resolve(message: Uint8Array | undefined): void;
  reject(status: StatusError): void;
}

export class Inbox {
  readonly #owner: InboxOwner;
  readonly #overflow: (status: StatusError) => void;
  #messages: Uint8Array[] = [];
  /** How many of #messages have been taken. */
  #taken = 0;
  #bytes = 0;
  #waiters: Waiter[] = [];
  #end: StatusError | "end" | undefined;
  /** Runs while the connection rests for this inbox. */
  #patience: unknown;
  #isHolding = false;

  /** `overflow` is called when the reader's time is over; it is to end the stream with that status. */
  constructor(owner: InboxOwner, overflow: (status: StatusError) => void) {
    this.#owner = owner;
    this.#overflow = overflow;
  }

  /** No more messages come; those that are here can still be taken. */
  get ended(): boolean {
    return this.#end !== undefined;
  }

  push(message: Uint8Array): void {
    if (this.#end !== undefined) return;
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      waiter.resolve(message);
      return;
    }
    this.#messages.push(message);
    this.#bytes += message.length + messageOverheadBytes;
    if (this.#bytes > this.#owner.limits.streamBufferBytes) this.#hold();
  }

  /** The last message was the last. */
  end(): void {
    this.#finish("end");
  }

  /** After what is here, receive() rejects. */
  fail(status: StatusError): void {
    this.#finish(status);
  }

  /** Nobody is to have what is here: receive() rejects from now on. */
  discard(status: StatusError): void {
    this.#messages = [];
    this.#taken = 0;
    this.#bytes = 0;
    this.#unhold();
    if (this.#end === "end") this.#end = undefined;
    this.#finish(status);
  }

  /** The next message; undefined after the last. @throws StatusError when the stream has failed. */
  receive(): Promise<Uint8Array | undefined> {
    return new Promise((resolve, reject) => {
      const message = this.#messages[this.#taken];
      if (message !== undefined) {
        this.#take(message);
        resolve(message);
      } else if (this.#end === "end") resolve(undefined);
      else if (this.#end !== undefined) reject(this.#end);
      else this.#waiters.push({ resolve, reject });
    });
  }

  #take(message: Uint8Array): void {
    this.#taken++;
    this.#bytes -= message.length + messageOverheadBytes;
    if (this.#taken === this.#messages.length) {
      this.#messages = [];
      this.#taken = 0;
    } else if (this.#taken >= 64 && this.#taken * 2 > this.#messages.length) {
      this.#messages = this.#messages.slice(this.#taken);
      this.#taken = 0;
    }
    if (this.#bytes * 2 <= this.#owner.limits.streamBufferBytes) this.#unhold();
  }

  #finish(end: StatusError | "end"): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) {
      if (end === "end") waiter.resolve(undefined);
      else waiter.reject(end);
    }
  }

  #hold(): void {
    if (this.#isHolding) return;
    this.#isHolding = true;
    const { limits, timers } = this.#owner;
    this.#patience = timers.start(limits.streamPatienceMs, () => {
      const text = `${this.#bytes} bytes of this stream were left unread for ${limits.streamPatienceMs} ms`;
      const status = new StatusError(codes.resourceExhausted, text);
      this.discard(status);
      this.#overflow(status);
    });
    this.#owner.hold();
  }

  #unhold(): void {
    if (!this.#isHolding) return;
    this.#isHolding = false;
    this.#owner.timers.stop(this.#patience);
    this.#owner.unhold();
  }
}
