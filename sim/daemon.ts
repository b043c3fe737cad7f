// The fake daemon's side of events: it takes them one by one, is away now and then, and a connection may break after it
// has taken one. What it has taken in the end is compared with what was published.

import { codes, StatusError } from "ttrpc";
import type { EventSink } from "../src/shim/publisher.ts";
import type { Random } from "./random.ts";
import type { Timeline } from "./timeline.ts";

export class Daemon {
  /** Chance that a call of its fails. */
  trouble: number;
  /** What it has taken, as hexadecimal text, in order. */
  readonly taken: string[] = [];
  /** How often the connection broke after it had taken an event. */
  #twice = 0;
  #awayUntilMs = 0;
  readonly #timeline: Timeline;
  readonly #random: Random;

  constructor(timeline: Timeline, random: Random, trouble: number) {
    this.#timeline = timeline;
    this.#random = random;
    this.trouble = trouble;
  }

  goAway(ms: number): void {
    this.#awayUntilMs = this.#timeline.nowMs + ms;
  }

  comeBack(): void {
    this.#awayUntilMs = 0;
    this.trouble = 0;
  }

  get #isAway(): boolean {
    return this.#timeline.nowMs < this.#awayUntilMs;
  }

  connect(): EventSink {
    if (this.#isAway) throw new StatusError(codes.unavailable, "the daemon is away");
    return { forward: (request) => this.#forward(request), close: () => undefined };
  }

  #forward(request: Uint8Array): Promise<void> {
    const text = Buffer.from(request).toString("hex");
    return new Promise((resolve, reject) => {
      this.#timeline.after(this.#random.delay(3), () => {
        const breaks = this.#random.chance(this.trouble);
        const takes = !this.#isAway && (!breaks || this.#random.chance(0.5));
        if (takes) this.taken.push(text);
        if (takes && breaks) this.#twice++;
        if (breaks || this.#isAway) reject(new StatusError(codes.unavailable, "the connection broke"));
        else resolve();
      });
    });
  }

  /**
   * What is wrong with what it has taken; undefined: nothing.
   * @param mayMiss the last ones may not have come: the shim has died.
   */
  compare(published: readonly string[], mayMiss: boolean): string | undefined {
    let at = 0;
    let again = 0;
    for (const each of this.taken) {
      if (each === published[at]) at++;
      else if (at > 0 && each === published[at - 1]) again++;
      else return `event ${at} was taken out of order`;
    }
    if (at < published.length && !mayMiss) return `${published.length - at} of ${published.length} events never came`;
    return again > this.#twice
      ? `${again} events came twice, and the connection broke ${this.#twice} times`
      : undefined;
  }
}
