// What our own changes to the engine mend (native/patches).

import sys from "sys";
import { check, equal, finish, ok } from "./checks.ts";

await check("engine: a big number is written out, also where its topmost limb only keeps the sign", () => {
  equal(String(2n ** 63n), "9223372036854775808");
  equal((2n ** 63n).toString(16), "8000000000000000");
  equal(String(2n ** 64n - 1n), "18446744073709551615");
  equal((-(2n ** 63n)).toString(16), "-8000000000000000");
});

/** The text of an object with so many names of 34 characters. */
function objectText(count: number, pairs: readonly [string, string]): string {
  const names = Array.from({ length: count }, (_, number) => {
    return Array.from({ length: 17 }, (_bit, bit) => pairs[(number >> bit) & 1]).join("");
  });
  return `{${names.map((name) => `"${name}":1`).join()}}`;
}

function parsingMs(text: string): number {
  const beganMs = sys.monotonicMs();
  JSON.parse(text);
  return sys.monotonicMs() - beganMs;
}

await check("engine: names that were chosen to have one hash are read as quickly as any", () => {
  const factor = 263;
  // c * 263 + x and b * 263 + (x + 263) are one number, so that in the engine's own hash each pair stands for the other.
  const chosen = objectText(8000, [`c${String.fromCharCode(100)}`, `b${String.fromCharCode(100 + factor)}`]);
  const others = objectText(8000, [`c${String.fromCharCode(100)}`, `b${String.fromCharCode(101 + factor)}`]);
  const [chosenMs, othersMs] = [parsingMs(chosen), parsingMs(others)];
  ok(chosenMs < 10 * othersMs + 50, `${chosenMs} ms for those, ${othersMs} ms for others`);
});

finish();
