// Pipes and FIFOs: bytes in order, a capacity, how many hold each side open, and who is to be told of a change. A FIFO's
// bytes are gone once nobody has it open on either side, as on Linux.

import { EAGAIN, EPIPE } from "../src/sys/errno.ts";
import type { Errno } from "../src/sys/sys.d.ts";

export class Pipe {
  readers = 0;
  writers = 0;
  /** Called after each change; may take itself out. */
  readonly watchers = new Set<() => void>();
  readonly capacity: number;
  #chunks: Uint8Array[] = [];
  #bytes = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get space(): number {
    return Math.max(0, this.capacity - this.#bytes);
  }

  open(side: "read" | "write"): void {
    if (side === "read") this.readers++;
    else this.writers++;
    this.#changed();
  }

  close(side: "read" | "write"): void {
    if (side === "read") this.readers--;
    else this.writers--;
    if (this.readers === 0 && this.writers === 0) {
      this.#chunks = [];
      this.#bytes = 0;
    }
    this.#changed();
  }

  /** Non-blocking write: as many bytes as there is room for. */
  write(bytes: Uint8Array): number | Errno {
    if (this.readers === 0) return EPIPE;
    const count = Math.min(bytes.length, this.space);
    if (count === 0) return EAGAIN;
    this.#chunks.push(bytes.slice(0, count));
    this.#bytes += count;
    this.#changed();
    return count;
  }

  /** Non-blocking read: the bytes, empty at the end. */
  read(most: number): Uint8Array | Errno {
    if (this.#bytes === 0) return this.writers === 0 ? new Uint8Array(0) : EAGAIN;
    const taken = new Uint8Array(Math.min(most, this.#bytes));
    for (let done = 0; done < taken.length; ) {
      const first = this.#chunks[0] as Uint8Array;
      const part = first.subarray(0, taken.length - done);
      taken.set(part, done);
      done += part.length;
      if (part.length === first.length) this.#chunks.shift();
      else this.#chunks[0] = first.subarray(part.length);
    }
    this.#bytes -= taken.length;
    this.#changed();
    return taken;
  }

  #changed(): void {
    for (const watcher of [...this.watchers]) watcher();
  }
}
