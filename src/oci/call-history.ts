// The last calls of the runtime for one container, with their time and result: kept in memory, bounded, for those who look
// into the shim. Those of execs, which may be many, make room first.

import { MoorError } from "../sys/error.ts";
import type { Sys } from "../sys/sys.d.ts";
import type { Operation } from "./runtime-error.ts";

/** Plain data. */
export interface PastCall {
  readonly operation: Operation;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /** How long it took; undefined while it is under way. */
  tookMs: number | undefined;
  /** "ok", the error, or "" while it is under way. */
  result: string;
}

const mostCalls = 16;
const longestResult = 512;

export class CallHistory {
  readonly #calls: PastCall[] = [];

  /** Oldest first. */
  list(): readonly PastCall[] {
    return this.#calls;
  }

  /** Notes a call from its beginning to its end. @throws what the call throws. */
  async follow<T>(sys: Sys, operation: Operation, run: () => Promise<T>): Promise<T> {
    const startedMs = sys.monotonicMs();
    const call: PastCall = { operation, atMs: nowMs(sys), tookMs: undefined, result: "" };
    this.#calls.push(call);
    if (this.#calls.length > mostCalls) this.#dropOne();
    try {
      const answer = await run();
      call.result = "ok";
      return answer;
    } catch (thrown) {
      call.result = MoorError.from(thrown).message.slice(0, longestResult);
      throw thrown;
    } finally {
      call.tookMs = Math.round(sys.monotonicMs() - startedMs);
    }
  }

  /** What is under way is of more interest than what is over. */
  #dropOne(): void {
    const oldest = this.#calls.findIndex(({ operation, tookMs }) => operation === "exec" && tookMs !== undefined);
    this.#calls.splice(Math.max(oldest, 0), 1);
  }
}

function nowMs(sys: Sys): number {
  return Number(sys.realtimeNs() / 1_000_000n);
}
