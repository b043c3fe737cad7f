// A process that ends when it is told to and says itself when that was: `inside exit`, which waits at a FIFO, and stamps
// the time into a file the moment before it ends.

import { closeSync, constants, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeFifo } from "../test/harness/fifo.ts";
import { until } from "../test/harness/until.ts";
import type { Stage } from "./stage.ts";

const waitsWithinMs = 20_000;
const stampBytes = 8;

export class ExitGate {
  readonly #go: string;
  readonly #stamp: string;
  /** The command for the container. */
  readonly args: readonly string[];

  /** @param name a name of its own in the stage's root file system. */
  constructor(stage: Stage, name: string) {
    this.#go = join(stage.rootfs, `tmp/${name}.go`);
    this.#stamp = join(stage.rootfs, `tmp/${name}.stamp`);
    this.args = ["/bin/inside", "exit", `/tmp/${name}.go`, `/tmp/${name}.stamp`];
    makeFifo(this.#go);
    writeFileSync(this.#stamp, Buffer.alloc(stampBytes));
  }

  /** Lets the process end, once it has come so far as to wait. */
  async open(): Promise<void> {
    const fd = await until("the process to wait for its end", waitsWithinMs, () => this.#tryOpen());
    closeSync(fd);
  }

  /** When it ended: nanoseconds of CLOCK_MONOTONIC. @throws Error when it has not stamped. */
  exitedNs(): number {
    const at = Number(readFileSync(this.#stamp).readBigInt64LE());
    if (at === 0) throw new Error(`${this.#stamp} holds no time`);
    return at;
  }

  remove(): void {
    rmSync(this.#go);
    rmSync(this.#stamp);
  }

  #tryOpen(): number | undefined {
    try {
      return openSync(this.#go, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch (thrown) {
      // Nobody waits on the other side yet.
      if ((thrown as NodeJS.ErrnoException).code === "ENXIO") return undefined;
      throw thrown;
    }
  }
}
