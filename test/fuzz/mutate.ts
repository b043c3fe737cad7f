// New inputs from old ones: bytes flipped, pieces cut, doubled, moved and joined, numbers at their edges, words of the
// language put in, and now and then a piece many times over, which finds what takes time with the square of its length.

import type { Random } from "../../sim/random.ts";

/** No input is longer. What is read at once is often bounded by 64 KiB, and more only makes each run slower. */
export const maxInputBytes = 64 * 1024;

const edges = [0, 1, 2, 7, 8, 0x0a, 0x20, 0x22, 0x2e, 0x2f, 0x5c, 0x7f, 0x80, 0xc0, 0xed, 0xf4, 0xfe, 0xff];

/** Between one and a handful of changes; `other` is a second input for pieces. */
export function mutate(random: Random, input: Uint8Array, other: Uint8Array, words: readonly Uint8Array[]): Uint8Array {
  let bytes = input;
  const changes = 1 + random.below(random.chance(0.2) ? 12 : 3);
  for (let i = 0; i < changes; i++) bytes = change(random, bytes, other, words);
  return bytes.length > maxInputBytes ? bytes.slice(0, maxInputBytes) : bytes;
}

function change(random: Random, bytes: Uint8Array, other: Uint8Array, words: readonly Uint8Array[]): Uint8Array {
  const at = random.below(bytes.length + 1);
  switch (random.below(12)) {
    case 0: {
      const flipped = bytes.slice();
      if (at < flipped.length) flipped[at] = (flipped[at] as number) ^ (1 << random.below(8));
      return flipped;
    }
    case 1: {
      const set = bytes.slice();
      if (at < set.length) set[at] = random.chance(0.5) ? random.pick(edges) : random.below(256);
      return set;
    }
    case 2:
      return spliced(bytes, at, at + 1 + random.below(8), none);
    case 3:
      return spliced(bytes, at, at + random.below(bytes.length + 1), none);
    case 4:
      return spliced(bytes, at, at, piece(random, bytes));
    case 5:
      return spliced(bytes, at, at, piece(random, other));
    case 6:
      return spliced(bytes, at, bytes.length, other.subarray(random.below(other.length + 1)));
    case 7:
    case 8:
      return words.length === 0 ? bytes : spliced(bytes, at, at, random.pick(words));
    case 9: {
      const word = words.length === 0 ? none : random.pick(words);
      return spliced(bytes, at, at + word.length, word);
    }
    case 10:
      return spliced(bytes, at, at, Uint8Array.of(random.pick(edges), random.below(256)).subarray(random.below(2)));
    default:
      if (!random.chance(0.01)) return spliced(bytes, at, at, repeated(random, piece(random, bytes), 64));
      return spliced(bytes, at, at, repeated(random, piece(random, bytes), maxInputBytes));
  }
}

const none = new Uint8Array();

function piece(random: Random, bytes: Uint8Array): Uint8Array {
  const start = random.below(bytes.length + 1);
  return bytes.subarray(start, start + random.below(random.chance(0.3) ? 256 : 16));
}

function repeated(random: Random, bytes: Uint8Array, mostBytes: number): Uint8Array {
  if (bytes.length === 0) return bytes;
  const times = 1 + random.below(Math.max(1, Math.floor(mostBytes / bytes.length)));
  const all = new Uint8Array(bytes.length * times);
  for (let i = 0; i < times; i++) all.set(bytes, i * bytes.length);
  return all;
}

/** bytes with [start, end) replaced. */
function spliced(bytes: Uint8Array, start: number, end: number, by: Uint8Array): Uint8Array {
  const rest = bytes.subarray(Math.min(end, bytes.length));
  const all = new Uint8Array(start + by.length + rest.length);
  all.set(bytes.subarray(0, start));
  all.set(by, start);
  all.set(rest, start + by.length);
  return all;
}

/** Bytes one after the other. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
