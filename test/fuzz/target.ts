// What a fuzz target is, and what is demanded of it: for any bytes it gives a value, or an error that Moor throws on
// purpose with one sentence for people. Anything else (another exception, a sentence that is none, a turn without end)
// is a finding. Nothing of Node here: the same targets run in the shim's own host.

import { codes, StatusError } from "ttrpc";
import { grpcCodes, MoorError } from "../../src/sys/error.ts";
import type { Random } from "../../sim/random.ts";

export interface Target {
  /** Also the name of its folder in the corpus. */
  readonly name: string;
  /** Words of its language, which the mutations put in. */
  readonly words: readonly string[];
  /** An input by the grammar of the language; absent: only what is in the corpus is changed. */
  readonly make?: (random: Random) => Uint8Array;
  /**
   * Feeds the input to what is tested. Returns a text that says what came of it, the same in every engine where
   * `comparable`. What it throws is judged by judge().
   */
  run(input: Uint8Array): string | Promise<string>;
  /** Node and the shim's host must come to the same result. */
  readonly comparable: boolean;
  /** The error that this target's subject promises, where it is neither MoorError nor StatusError. */
  readonly isPromised?: (thrown: unknown) => boolean;
}

/** An error text longer than this is no sentence for people. */
const longestSentence = 1000;

/** A finding: what a target did that it must not do. */
export class Finding extends Error {}

/** For targets: a fact that must hold whatever the input is. */
export function demand(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Finding(what);
}

/**
 * The outcome "refused" for an error that Moor throws on purpose.
 * @throws Finding for any other.
 */
export function judge(target: Target, thrown: unknown): string {
  if (thrown instanceof Finding) throw thrown;
  if (target.isPromised?.(thrown) === true) return "refused";
  if (thrown instanceof MoorError) {
    demand(Object.hasOwn(grpcCodes, thrown.code), `an error with the code ${thrown.code}`);
    return sentence(thrown.message, thrown.code);
  }
  if (thrown instanceof StatusError) {
    demand(Object.values(codes).includes(thrown.code as never), `a status with the code ${thrown.code}`);
    return sentence(thrown.message, String(thrown.code));
  }
  const stack = thrown instanceof Error ? `${thrown.name}: ${thrown.message}\n${thrown.stack ?? ""}` : String(thrown);
  throw new Finding(`it throws ${stack}`);
}

function sentence(text: string, code: string): string {
  demand(text.trim() !== "", "an error without a text");
  demand(text.length <= longestSentence, `an error of ${text.length} characters: ${text.slice(0, 200)}`);
  return `refused ${code}`;
}
