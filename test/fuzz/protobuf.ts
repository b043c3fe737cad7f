// Protobuf by its own grammar, and broken on purpose: fields of every wire type, numbers at their edges and in too many
// bytes, lengths that lie, messages in messages, groups.

import type { Random } from "../../sim/random.ts";
import { joined } from "./mutate.ts";

const edges = [0n, 1n, 127n, 128n, 255n, 300n, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, 0x1_0000_0000n];
const farEdges = [2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n];
const texts = [
  "",
  "a",
  "id",
  "/bundle",
  "é€😀",
  "type.googleapis.com/containerd.runc.v1.Options",
  "binary:///bin/x?a=b",
];

/** A varint, at times in more bytes than it takes, or in more than there may be. */
export function varint(random: Random, value: bigint): Uint8Array {
  const bytes: number[] = [];
  let left = value;
  do {
    bytes.push(Number(left & 0x7fn) | 0x80);
    left >>= 7n;
  } while (left > 0n);
  const padding = random.chance(0.03) ? random.below(12) : 0;
  for (let i = 0; i < padding; i++) bytes.push(0x80);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) & 0x7f;
  return Uint8Array.from(bytes);
}

export function edgeNumber(random: Random): bigint {
  if (random.chance(0.4)) return BigInt(random.below(300));
  return random.chance(0.7) ? random.pick(edges) : random.pick(farEdges);
}

/** A message of random fields; the lower the depth left, the fewer messages in it. */
export function randomMessage(random: Random, depth = 5): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let fields = random.below(8); fields > 0; fields--) parts.push(randomField(random, depth));
  return joined(parts);
}

function randomField(random: Random, depth: number): Uint8Array {
  const field = random.chance(0.9) ? 1 + random.below(16) : random.below(1 << 29);
  const wireType = random.pick([0, 0, 1, 2, 2, 2, 2, 2, 3, 4, 5, 6, 7]);
  const tag = varint(random, BigInt(field) * 8n + BigInt(wireType));
  if (wireType === 0) return joined([tag, varint(random, edgeNumber(random))]);
  if (wireType === 1) return joined([tag, noise(random, 8)]);
  if (wireType === 5) return joined([tag, noise(random, 4)]);
  if (wireType === 3 && depth > 0) {
    const end = varint(random, BigInt(random.chance(0.9) ? field : random.below(16)) * 8n + 4n);
    return joined([tag, randomMessage(random, depth - 1), end]);
  }
  if (wireType !== 2) return tag;
  const body = randomBody(random, depth);
  const length = random.chance(0.95) ? BigInt(body.length) : edgeNumber(random);
  return joined([tag, varint(random, length), body]);
}

function randomBody(random: Random, depth: number): Uint8Array {
  if (depth > 0 && random.chance(0.5)) return randomMessage(random, depth - 1);
  if (random.chance(0.7)) return new TextEncoder().encode(random.pick(texts));
  return noise(random, random.below(20));
}

function noise(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.below(256));
}

/** A message in a message in a message, deeper than any reader should follow. */
export function deepMessage(random: Random): Uint8Array {
  let bytes = noise(random, random.below(4));
  const tag = Uint8Array.of((1 + random.below(4)) * 8 + 2);
  for (let depth = random.below(400); depth > 0 && bytes.length < 30_000; depth--) {
    bytes = joined([tag, varint(random, BigInt(bytes.length)), bytes]);
  }
  return bytes;
}
