// Formats that people and programs rely on, kept as files: what varies from run to run is masked, the rest must be the
// same to the letter. MOOR_GOLDEN=write writes the files anew.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { repositoryDir } from "./repository.ts";

/** What to put in the place of what varies; in this order. */
export type Masks = readonly (readonly [RegExp | string, string])[];

const always: Masks = [
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, "TIME"],
  // Columns are as wide as what is in them, which is masked.
  [/ {2,}(?=\S)/g, "  "],
];

/** @throws AssertionError when the masked text is not what test/fixtures/golden/NAME holds. */
export function assertGolden(name: string, text: string, masks: Masks): void {
  const file = join(repositoryDir(), "test", "fixtures", "golden", name);
  let masked = text;
  for (const [what, by] of [...masks, ...always]) masked = masked.replaceAll(what, by);
  if (process.env["MOOR_GOLDEN"] === "write") {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, masked);
  }
  assert.ok(existsSync(file), `${file} is missing; the text is\n${masked}`);
  assert.equal(masked, readFileSync(file, "utf8"), name);
}
