// As many lives as fit in half a minute on two processors show no bug; so many that each failure of a call must have been
// among them, are also asked for what they have seen.

import assert from "node:assert/strict";
import { test } from "node:test";
import { allFailures } from "./faults.ts";
import { liveMany } from "./many.ts";

const { MOOR_SIM_LIVES: wanted = "20000", MOOR_SIM_FIRST: first = "1" } = process.env;
/** So many see each failure several times. */
const enoughForAll = 50_000;

test(`${wanted} simulated lives from seed ${first} on show no bug`, async (context) => {
  const { lives, sums, bad } = await liveMany({ first: Number(first), count: Number(wanted) });
  assert.deepEqual(bad, [], "make sim LIVES=1 SEED=N tells the life of one of these with its log");
  assert.equal(lives, Number(wanted));
  context.diagnostic(["turns", "calls", "events", "faults"].map((name) => `${sums.get(name) ?? 0} ${name}`).join(", "));
  if (lives < enoughForAll) return;
  const unseen = [...allFailures(), ...deeds].filter((name) => !sums.has(name));
  assert.deepEqual(unseen, [], "these have never happened");
});

/** What should happen in some lives. */
const deeds: readonly string[] = [
  "clock set",
  "connection broken",
  "delete after death",
  "exits told",
  "ooms told",
  "pids came round",
  "restores",
];
