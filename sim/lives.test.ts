// As many lives as fit in about a minute on two processors.

import assert from "node:assert/strict";
import { test } from "node:test";
import { liveMany } from "./many.ts";

const { MOOR_SIM_LIVES: wanted = "100000", MOOR_SIM_FIRST: first = "1" } = process.env;

test(`${wanted} simulated lives from seed ${first} on show no bug`, async (context) => {
  const { lives, sums, bad } = await liveMany({ first: Number(first), count: Number(wanted) });
  assert.deepEqual(bad, [], "make sim LIVES=1 SEED=N tells the life of one of these with its log");
  assert.equal(lives, Number(wanted));
  context.diagnostic(["turns", "calls", "events", "faults"].map((name) => `${sums.get(name) ?? 0} ${name}`).join(", "));
});
