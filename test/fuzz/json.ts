// JSON by its grammar, with the keys and texts of a target, and now and then very deep or with odd numbers and escapes.

import type { Random } from "../../sim/random.ts";

const scalars = ["null", "true", "false", "0", "-1", "1e3", "1e999", "-0", "1.5", "4294967295", "4294967296", '""'];
const texts = ['"/x"', '"\\u0000"', '"\\ud83d\\ude00"', '"\\ud800"', '"é"', '"__proto__"', '"2026-01-02T03:04:05Z"'];

/** The bytes of a text of JSON. */
export function randomJson(random: Random, keys: readonly string[]): Uint8Array {
  if (random.chance(0.02)) return new TextEncoder().encode(deep(random));
  return new TextEncoder().encode(value(random, keys, 5, true));
}

function value(random: Random, keys: readonly string[], depth: number, isTop: boolean): string {
  if (depth === 0 || (!isTop && random.chance(0.4))) {
    if (random.chance(0.3)) return JSON.stringify(random.pick(keys));
    return random.chance(0.6) ? random.pick(scalars) : random.pick(texts);
  }
  const length = random.below(isTop ? 8 : 4);
  if (random.chance(isTop ? 0.05 : 0.3)) {
    return `[${Array.from({ length }, () => value(random, keys, depth - 1, false)).join()}]`;
  }
  const field = (): string => {
    const key = random.chance(0.9) ? JSON.stringify(random.pick(keys)) : random.pick(texts);
    return `${key}:${value(random, keys, depth - 1, false)}`;
  };
  return `{${Array.from({ length }, field).join(random.chance(0.1) ? " ,\n" : ",")}}`;
}

/** Brackets in brackets: an engine's parser may be recursive. */
function deep(random: Random): string {
  const depth = random.below(random.chance(0.2) ? 20_000 : 600);
  const [open, close] = random.pick([
    ["[", "]"],
    ['{"a":', "}"],
    ['{"process":', "}"],
  ]);
  return `${open.repeat(depth)}1${close.repeat(random.chance(0.8) ? depth : random.below(depth + 1))}`;
}
