// Output of deleted processes that has not reached its reader yet: remembered until it has ended.

import type { Stdio } from "../io/stdio.ts";
import type { Keeping } from "./keeper.ts";
import type { KeptLeaving } from "./kept-records.ts";

export class LeavingStreams {
  readonly #keeper: Keeping;
  readonly #streams = new Set<Promise<void>>();

  constructor(keeper: Keeping) {
    this.#keeper = keeper;
  }

  /** @param data of the process that had them. */
  follow(stdio: Stdio, data: Omit<KeptLeaving, "bundle" | "stdio">, bundle: string): void {
    const { containerId, execId, stdin, stdout, stderr, terminal } = data;
    const named = { containerId, execId, stdin, stdout, stderr, terminal, bundle };
    const part = this.#keeper.part(() => ({ kind: "leaving", ...named, stdio: stdio.keep() }));
    const ended = stdio.ended.finally(() => {
      this.#streams.delete(ended);
      part.remove();
    });
    this.#streams.add(ended);
  }

  /** Resolves when no output is on its way any more. */
  async ended(): Promise<void> {
    await Promise.all(this.#streams);
  }
}
