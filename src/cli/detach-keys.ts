// The key sequence that leaves a terminal session without ending it. A state machine over bytes: what cannot belong to
// the sequence passes on at once and unchanged; what may begin it is held until the next key decides.

import { CliError } from "./cli-error.ts";

export const defaultDetachKeys = "ctrl-p,ctrl-q";

/**
 * The bytes of a sequence such as "ctrl-p,ctrl-q" or "ctrl-a,d". An empty text means no sequence at all.
 * @throws CliError usage for anything that is no key.
 */
export function parseDetachKeys(text: string): Uint8Array {
  if (text === "") return new Uint8Array(0);
  return Uint8Array.from(text.split(","), (word) => keyByte(word, text));
}

function keyByte(word: string, whole: string): number {
  const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(word);
  if (control !== null) return (control[1] as string).toUpperCase().charCodeAt(0) & 0x1f;
  if (word.length === 1 && word >= "!" && word <= "~") return word.charCodeAt(0);
  throw new CliError(
    `detach keys ${JSON.stringify(whole)}: ${JSON.stringify(word)} is neither a character nor ctrl-X`,
    "usage",
  );
}

/** What one chunk of input led to. */
export interface Recognised {
  /** The bytes for the container. */
  readonly pass: Uint8Array;
  /** The sequence is complete; nothing after it is passed on. */
  readonly detached: boolean;
}

export class DetachRecogniser {
  readonly #keys: Uint8Array;
  // How far back to fall when a key does not fit: the longest proper prefix of the sequence that ends here.
  readonly #fallback: number[];
  #matched = 0;

  /** `keys` as parseDetachKeys gives them; empty: everything passes. */
  constructor(keys: Uint8Array) {
    this.#keys = keys;
    this.#fallback = fallbackTable(keys);
  }

  /** Takes the next chunk of input. */
  feed(chunk: Uint8Array): Recognised {
    if (this.#keys.length === 0) return { pass: chunk, detached: false };
    const pass: number[] = [];
    for (const byte of chunk) {
      while (this.#matched > 0 && byte !== this.#keys[this.#matched]) {
        const keep = this.#fallback[this.#matched - 1] as number;
        // The first bytes of what was held can no longer begin the sequence.
        pass.push(...this.#keys.subarray(0, this.#matched - keep));
        this.#matched = keep;
      }
      if (byte === this.#keys[this.#matched]) this.#matched++;
      else pass.push(byte);
      if (this.#matched === this.#keys.length) return { pass: Uint8Array.from(pass), detached: true };
    }
    return { pass: Uint8Array.from(pass), detached: false };
  }
}

// The failure function of Knuth, Morris and Pratt.
function fallbackTable(keys: Uint8Array): number[] {
  const table: number[] = [];
  let length = 0;
  for (let i = 0; i < keys.length; i++) {
    if (i > 0) {
      while (length > 0 && keys[i] !== keys[length]) length = table[length - 1] as number;
      if (keys[i] === keys[length]) length++;
    }
    table.push(length);
  }
  return table;
}
