// Runs targets: from a seed and a number comes each input, so that any finding is repeated by these two. Bounds time and
// keeps a digest of all outcomes, by which two engines are compared.

import { Random } from "../../sim/random.ts";
import { mutate } from "./mutate.ts";
import { Finding, judge, type Target } from "./target.ts";

export interface Surroundings {
  /** Milliseconds of a clock that only goes forward: of the processor's time where it can be had. */
  nowMs(): number;
  /** What one input may take of it. */
  readonly mostMs: number;
  encodeUtf8(text: string): Uint8Array;
  /** Another turn of the event loop: what a turn may take is bounded in the host. */
  nextTurn(): Promise<void>;
}

export interface Plan {
  readonly target: Target;
  readonly corpus: readonly Uint8Array[];
  readonly seed: number;
  readonly first: number;
  readonly count: number;
}

export interface Figures {
  readonly inputs: number;
  /** Inputs that were taken for good, the rest were refused. */
  readonly taken: number;
  readonly bytes: number;
  readonly slowestMs: number;
  /** Of all outcomes; the same for the same plan. */
  readonly digest: number;
}

const turnMs = 20;

/** A finding with the input that leads to it. */
export class Failure extends Error {
  readonly input: Uint8Array;

  constructor(target: string, seed: number, number: number, input: Uint8Array, why: string) {
    super(`target ${target}, seed ${seed}, input ${number} (${input.length} bytes): ${why}`);
    this.input = input;
  }
}

/** The input of this number. */
export function inputOf({ target, corpus, seed }: Plan, words: readonly Uint8Array[], number: number): Uint8Array {
  // The corpus itself comes first, so that what was once found is tried in every run.
  const own = number < corpus.length ? corpus[number] : undefined;
  if (own !== undefined) return own;
  const random = new Random(seed * 0x1_0000_0000 + number);
  const { make } = target;
  if (make !== undefined && (corpus.length === 0 || random.chance(0.4))) {
    const made = make(random);
    return random.chance(0.5) ? made : mutate(random, made, made, words);
  }
  return mutate(random, random.pick(corpus), random.pick(corpus), words);
}

/** Runs one input. @throws Finding. */
export async function runInput(target: Target, input: Uint8Array): Promise<string> {
  try {
    const outcome = target.run(input);
    return typeof outcome === "string" ? outcome : await outcome;
  } catch (thrown) {
    return judge(target, thrown);
  }
}

/** @throws Failure at the first finding. */
export async function runPlan(plan: Plan, around: Surroundings): Promise<Figures> {
  const { target, seed, first, count } = plan;
  const words = target.words.map((word) => around.encodeUtf8(word));
  let taken = 0;
  let bytes = 0;
  let slowestMs = 0;
  let digest = 0;
  let turnBeganMs = around.nowMs();
  for (let number = first; number < first + count; number++) {
    const input = inputOf(plan, words, number);
    const copy = input.slice();
    const beganMs = around.nowMs();
    let outcome: string;
    try {
      outcome = await runInput(target, input);
    } catch (thrown) {
      throw new Failure(target.name, seed, number, copy, thrown instanceof Finding ? thrown.message : String(thrown));
    }
    const endedMs = around.nowMs();
    slowestMs = Math.max(slowestMs, endedMs - beganMs);
    if (endedMs - beganMs > around.mostMs) {
      throw new Failure(target.name, seed, number, copy, `it took ${Math.round(endedMs - beganMs)} ms`);
    }
    if (!outcome.startsWith("refused")) taken++;
    bytes += input.length;
    digest = mixed(digest, outcome);
    if (endedMs - turnBeganMs < turnMs) continue;
    await around.nextTurn();
    turnBeganMs = around.nowMs();
  }
  return { inputs: count, taken, bytes, slowestMs, digest };
}

/** FNV-1a, over the characters of a text. */
export function mixed(digest: number, text: string): number {
  let hash = digest ^ 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** The same over bytes. */
export function mixedBytes(digest: number, bytes: Uint8Array): number {
  let hash = digest ^ 0x811c9dc5;
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return hash >>> 0;
}
