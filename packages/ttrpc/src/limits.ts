// What one connection may cost. The numbers are a promise: PROTOCOL.md, "Limits", says what happens at each of them.

export interface Limits {
  /** The longest message (payload of a frame) taken or sent. The protocol says 4 MiB; more makes others refuse us. */
  readonly maxMessageBytes: number;
  /** Calls of one connection whose handlers run; one more is refused with ResourceExhausted. */
  readonly maxCalls: number;
  /** Payloads of requests whose handlers run; one more is refused with ResourceExhausted. */
  readonly maxRequestBytes: number;
  /** Bytes not taken by a client from which on a server stops reading its requests. */
  readonly pauseBytes: number;
  /** Bytes not taken by a client from which on an answer is not sent and its call ends with ResourceExhausted. */
  readonly maxBacklogBytes: number;
  /** What all connections of a server hold together (budget.ts); what would be more is refused with ResourceExhausted. */
  readonly maxServerBytes: number;
  /** Bytes of one stream that its reader has not taken, from which on reading of the connection rests. */
  readonly streamBufferBytes: number;
  /** For how long it may rest for one stream; then that stream ends with ResourceExhausted. */
  readonly streamPatienceMs: number;
}

const mebibyte = 1 << 20;

export const defaultLimits: Limits = {
  maxMessageBytes: 4 * mebibyte,
  maxCalls: 4096,
  maxRequestBytes: 64 * mebibyte,
  pauseBytes: mebibyte,
  maxBacklogBytes: 32 * mebibyte,
  maxServerBytes: 256 * mebibyte,
  streamBufferBytes: 4 * mebibyte,
  streamPatienceMs: 1000,
};

/** What a call under way costs beside its request: its promises and closures, two to three KiB with QuickJS. */
export const callOverheadBytes = 4096;

/** What a queued message costs beside its bytes, so that a million empty ones are not free. */
export const messageOverheadBytes = 128;
