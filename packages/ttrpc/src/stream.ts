// What client and server streams have in common: a side to receive from, a side to send to, and the order of what is
// sent. Messages wait in their handler's hands, not encoded, while the peer takes nothing: a stream buffers no output.

import { type Codec, decodeMessage } from "./codec.ts";
import { encodeFrame, frameFlags, frameTypes, headerBytes } from "./frame.ts";
import type { Inbox } from "./inbox.ts";
import { codes, StatusError, tooLong } from "./status.ts";

/** Messages that come. An async iterable too; use one way or the other. */
export interface Receiver<T> extends AsyncIterable<T> {
  /** The next message; undefined after the last. @throws StatusError when the stream has failed. */
  receive(): Promise<T | undefined>;
}

/** Messages that go. */
export interface Sender<T> {
  /**
   * Sends a message; resolves when the connection takes more, so await it before the next.
   * @throws StatusError when the stream is over, or the message above the limit (the stream goes on then).
   */
  send(message: T): Promise<void>;
}

/**
 * The receiving side of one stream.
 * @param code of the error for a message that cannot be decoded.
 * @param stop called when a loop over it is left before the end.
 */
export function receiverOf<T>(inbox: Inbox, codec: Codec<T>, code: number, stop: () => void): Receiver<T> {
  const receive = async () => {
    const bytes = await inbox.receive();
    return bytes === undefined ? undefined : decodeMessage(codec, bytes, code);
  };
  return {
    receive,
    async *[Symbol.asyncIterator]() {
      let atEnd = false;
      try {
        for (let message = await receive(); message !== undefined; message = await receive()) yield message;
        atEnd = true;
      } finally {
        // The loop was left early: nobody will take the rest.
        if (!atEnd) stop();
      }
    },
  };
}

/** The connection as an outbox sees it. */
export interface OutboxLink {
  readonly limits: { readonly maxMessageBytes: number };
  /** Sends a whole frame. false: it was enough for now. */
  write(frame: Uint8Array): boolean;
  /** Calls back, at once or later but in order, when the connection takes more. */
  enqueue(write: () => void): void;
}

interface Waiting {
  resolve(): void;
  reject(thrown: unknown): void;
}

/** Sends that are not awaited one by one may still pile up to this; one more is refused. */
const maxWaiting = 64;

/** The sending side of one stream. */
export class Outbox<T> implements Sender<T> {
  readonly #link: OutboxLink;
  readonly #id: number;
  readonly #codec: Codec<T>;
  readonly #waiting = new Set<Waiting>();
  #over: StatusError | undefined;
  #isClosed = false;

  constructor(link: OutboxLink, id: number, codec: Codec<T>) {
    this.#link = link;
    this.#id = id;
    this.#codec = codec;
  }

  send(message: T): Promise<void> {
    if (this.#waiting.size >= maxWaiting) {
      return Promise.reject(
        new StatusError(codes.resourceExhausted, `${maxWaiting} sends of this stream wait already`),
      );
    }
    return this.#queue(() => {
      const frame = encodeFrame(this.#id, frameTypes.data, 0, this.#codec.encode(message));
      const bytes = frame.length - headerBytes;
      const { maxMessageBytes } = this.#link.limits;
      if (bytes > maxMessageBytes) throw tooLong(bytes, maxMessageBytes);
      return frame;
    });
  }

  /** Says that no more comes from here. Resolves when that is on its way. */
  close(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    const done = this.#queue(() => {
      return encodeFrame(this.#id, frameTypes.data, frameFlags.remoteClosed | frameFlags.noData);
    });
    this.#isClosed = true;
    return done;
  }

  /** The stream is over: what waits is not sent. */
  stop(status: StatusError): void {
    this.#over ??= status;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const send of waiting) send.reject(this.#over);
  }

  #queue(frame: () => Uint8Array): Promise<void> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    if (this.#isClosed) {
      return Promise.reject(new StatusError(codes.failedPrecondition, "this side of the stream is closed"));
    }
    return new Promise((resolve, reject) => {
      const waiting = { resolve, reject };
      const done = () => {
        if (this.#waiting.delete(waiting)) resolve();
      };
      this.#waiting.add(waiting);
      this.#link.enqueue(() => {
        // Not there any more: the stream was stopped meanwhile.
        if (!this.#waiting.has(waiting)) return;
        try {
          if (this.#link.write(frame())) done();
          // It is out of our hands, but the next had better wait.
          else this.#link.enqueue(done);
        } catch (thrown) {
          this.#waiting.delete(waiting);
          reject(thrown instanceof Error ? thrown : new Error(String(thrown)));
        }
      });
    });
  }
}
