// Somebody sets the machine's clock, once or a few times in a life, back or forth.

import type { ClockChange } from "./kernel.ts";
import { Random } from "./random.ts";

/** When the clock is set, and by how much it is off then: seconds or years. */
export function clockChanges(seed: number): readonly ClockChange[] {
  // Chance of its own, so that all else is the same without.
  const random = new Random(-seed);
  if (random.chance(0.5)) return [];
  let atMs = 0;
  return Array.from({ length: random.between(1, 4) }, () => {
    atMs += random.delay(500);
    const seconds = random.pick([3, 3600, 300_000_000]) * (random.fraction() - 0.5);
    // Whole ones: then times are as many bytes on the wire as without.
    return { atMs, aheadNs: BigInt(Math.round(seconds)) * 1_000_000_000n };
  });
}
