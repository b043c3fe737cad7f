// The pattern that fixtures/payload.c prints, and its check: byte by byte, so that a lost, doubled, swapped or changed
// byte is found and its place is named. The period is a prime, thus no multiple of any page, pipe or buffer size.

/** Length of the pattern before it repeats; the same number stands in payload.c. */
export const PATTERN_PERIOD = 1_048_573;

let table: Buffer | undefined;

/** One period of the pattern. */
function patternTable(): Buffer {
  if (table !== undefined) return table;
  const bytes = Buffer.alloc(PATTERN_PERIOD);
  let x = 1;
  for (let i = 0; i < PATTERN_PERIOD; i++) {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = x >>> 24;
  }
  table = bytes;
  return bytes;
}

/** The first `length` bytes of the pattern. */
export function patternBytes(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  const period = patternTable();
  for (let at = 0; at < length; at += PATTERN_PERIOD) period.copy(bytes, at);
  return bytes;
}

/** Takes the bytes as they come and remembers the first that is wrong. */
export class PatternChecker {
  #position = 0;
  #fault: string | undefined;

  /** Bytes seen so far. */
  get position(): number {
    return this.#position;
  }

  feed(chunk: Buffer): void {
    const period = patternTable();
    let from = 0;
    while (from < chunk.length) {
      const start = this.#position % PATTERN_PERIOD;
      const count = Math.min(chunk.length - from, PATTERN_PERIOD - start);
      if (this.#fault === undefined && chunk.compare(period, start, start + count, from, from + count) !== 0) {
        let i = 0;
        while (chunk[from + i] === period[start + i]) i++;
        this.#fault = `byte ${this.#position + i} is ${chunk[from + i]} and not ${period[start + i]}`;
      }
      this.#position += count;
      from += count;
    }
  }

  /** @throws Error when a byte was wrong or the length is not `length`. */
  end(length: number): void {
    if (this.#fault !== undefined) throw new Error(`${this.#fault} (of ${this.#position} bytes)`);
    if (this.#position !== length) throw new Error(`${this.#position} bytes came instead of ${length}`);
  }
}
