// A connection in memory between a client and the shim's server: bytes in order, a random moment later, in random pieces.

import type { Transport, TransportEvents } from "ttrpc";
import type { Random } from "./random.ts";
import type { Timeline } from "./timeline.ts";

class End implements Transport {
  peer: End | undefined;
  readonly #timeline: Timeline;
  readonly #random: Random;
  #events: TransportEvents | undefined;
  #queue: Uint8Array[] = [];
  #isMoving = false;
  #isPaused = false;
  #isClosing = false;
  #isOver = false;

  constructor(timeline: Timeline, random: Random) {
    this.#timeline = timeline;
    this.#random = random;
  }

  start(events: TransportEvents): void {
    this.#events = events;
    this.peer?.move();
  }

  write(bytes: Uint8Array): boolean {
    if (!this.#isOver) this.#queue.push(bytes);
    this.move();
    return true;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.peer?.move();
  }

  close(): void {
    this.#isClosing = true;
    this.move();
  }

  destroy(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#queue = [];
    this.#timeline.after(0, () => this.#events?.closed(undefined));
    this.peer?.destroy();
  }

  move(): void {
    if (this.#isMoving || this.#isOver) return;
    this.#isMoving = true;
    this.#timeline.after(this.#random.delay(1), () => {
      this.#isMoving = false;
      this.#moveOne();
    });
  }

  #moveOne(): void {
    const { peer } = this;
    if (this.#isOver || peer === undefined || peer.#events === undefined || peer.#isPaused) return;
    const first = this.#queue.shift();
    if (first === undefined) {
      if (this.#isClosing) this.destroy();
      return;
    }
    const cut = this.#random.chance(0.1) ? this.#random.between(1, first.length) : first.length;
    if (cut < first.length) this.#queue.unshift(first.subarray(cut));
    peer.#events.data(cut < first.length ? first.subarray(0, cut) : first);
    this.move();
  }
}

/** Both ends of a connection. */
export function wire(timeline: Timeline, random: Random): [Transport, Transport] {
  const [left, right] = [new End(timeline, random), new End(timeline, random)];
  left.peer = right;
  right.peer = left;
  return [left, right];
}
