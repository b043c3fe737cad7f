// The meant differences between Moor and the stock shim. A test whose expectation only Moor meets says so with the
// name under which docs/differences.md explains it; against the stock shim that test checks the stock behaviour
// instead, or is left out with the reason printed.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { repositoryDir, testsMoor } from "./repository.ts";

/** @throws Error when docs/differences.md has no entry of that name. */
function assertListed(name: string): void {
  const list = readFileSync(join(repositoryDir(), "docs", "differences.md"), "utf8");
  if (!list.includes(`\`${name}\``)) throw new Error(`docs/differences.md does not list \`${name}\``);
}

/**
 * Marks a meant difference: true when Moor is under test and its own expectation is to be checked. With the stock shim
 * it says what is different, and returns false, so that the caller checks the other expectation.
 */
export function meantDifference(t: TestContext, name: string): boolean {
  assertListed(name);
  if (testsMoor) return true;
  t.diagnostic(`meant difference ${name}: the stock shim is held to its own behaviour here`);
  return false;
}

/** As meantDifference, for a test that has nothing to check on the stock shim: true means "leave it out". */
export function onlyMoor(t: TestContext, name: string): boolean {
  assertListed(name);
  if (testsMoor) return false;
  t.skip(`meant difference ${name}: see docs/differences.md`);
  return true;
}
