// Two transports that are each other's peer, without a kernel in between, for the tests: what one writes the other reads,
// in pieces of any size, and a side that has paused leaves what was written to it with the writer, where it is counted.

import type { Transport, TransportEvents } from "./transport.ts";

export interface PairOptions {
  /** Pieces in which bytes arrive; the whole of each write where absent. */
  readonly pieceBytes?: number;
  /** Untaken bytes from which on write() says false. */
  readonly highMarkBytes?: number;
}

export class MemoryTransport implements Transport {
  peer: MemoryTransport | undefined;
  isPaused = false;
  isClosed = false;
  /** Written here and not taken by the peer. */
  queuedBytes = 0;
  /** The most that queuedBytes has been. */
  mostQueuedBytes = 0;
  readonly #pieceBytes: number;
  readonly #highMarkBytes: number;
  #events: TransportEvents | undefined;
  #queue: Uint8Array[] = [];
  #isMoving = false;
  #isClosing = false;
  #wasFull = false;

  constructor(options: PairOptions) {
    this.#pieceBytes = options.pieceBytes ?? Number.POSITIVE_INFINITY;
    this.#highMarkBytes = options.highMarkBytes ?? 16 * 1024;
  }

  start(events: TransportEvents): void {
    this.#events = events;
    this.peer?.move();
  }

  write(bytes: Uint8Array): boolean {
    if (this.isClosed || this.#isClosing) return true;
    this.#queue.push(bytes);
    this.queuedBytes += bytes.length;
    this.mostQueuedBytes = Math.max(this.mostQueuedBytes, this.queuedBytes);
    this.move();
    this.#wasFull ||= this.queuedBytes > this.#highMarkBytes;
    return !this.#wasFull;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    this.peer?.move();
  }

  close(): void {
    this.#isClosing = true;
    this.move();
  }

  destroy(error?: Error): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#queue = [];
    void Promise.resolve().then(() => this.#events?.closed(error));
    void Promise.resolve().then(() => this.peer?.destroy());
  }

  /** Hands what is queued to the peer, a piece in each turn. */
  move(): void {
    if (this.#isMoving) return;
    this.#isMoving = true;
    void Promise.resolve().then(() => {
      this.#isMoving = false;
      this.#moveOne();
    });
  }

  #moveOne(): void {
    if (this.isClosed || this.peer === undefined || this.peer.#events === undefined) return;
    const first = this.#queue[0];
    if (first === undefined) {
      if (this.#isClosing) this.destroy();
      return;
    }
    if (this.peer.isPaused) return;
    const piece = first.subarray(0, Math.min(first.length, this.#pieceBytes));
    if (piece.length === first.length) this.#queue.shift();
    else this.#queue[0] = first.subarray(piece.length);
    this.queuedBytes -= piece.length;
    // A copy that is spoilt afterwards: whoever keeps a view of it is found out.
    const lent = piece.slice();
    this.peer.#events.data(lent);
    lent.fill(0xee);
    if (this.#wasFull && this.queuedBytes === 0) {
      this.#wasFull = false;
      this.#events?.drained();
    }
    this.move();
  }
}

export function memoryPair(options: PairOptions = {}): [MemoryTransport, MemoryTransport] {
  const left = new MemoryTransport(options);
  const right = new MemoryTransport(options);
  left.peer = right;
  right.peer = left;
  return [left, right];
}
