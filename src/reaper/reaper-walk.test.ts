// Random walks over the reaper. A walk that fails is shrunk and told with its seed; SEED=N repeats one.

import { randomInt } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { callbacks, kinds, type Step, Walk } from "./walk.fixture.ts";

const step: fc.Arbitrary<Step> = fc.tuple(fc.constantFrom(...kinds), fc.nat(1000), fc.constantFrom(...callbacks));

for (const hasChildrenFiles of [true, false]) {
  test(`random walks: every exit once to its owner, nothing after the reap, nothing left${hasChildrenFiles ? "" : "; no list of children"}`, (t) => {
    const seed = Number(process.env["SEED"] ?? randomInt(2 ** 31));
    t.diagnostic(`seed ${seed}`);
    const property = fc.property(fc.array(step, { maxLength: 120, size: "max" }), (steps) => {
      const walk = new Walk();
      walk.kernel.hasChildrenFiles = hasChildrenFiles;
      for (const each of steps) walk.take(each);
      walk.end();
    });
    fc.assert(property, { seed, numRuns: 3000 });
  });
}
