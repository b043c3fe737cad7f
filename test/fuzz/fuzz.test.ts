// A few seconds of fuzzing under Node with each run of the tests, the comparison of the shim's protobuf reader with
// @bufbuild/protobuf's, and what the fuzzer itself promises. `make fuzz` runs long.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { test } from "node:test";
import { build } from "esbuild";
import { repositoryDir } from "../harness/repository.ts";
import { corpusOf, onNode, runKept } from "./node.ts";
import { inputOf, runPlan } from "./run.ts";
import { demand, Finding, judge, type Target } from "./target.ts";
import { allTargets } from "./targets.ts";

const inputsEach = 400;

for (const target of allTargets()) {
  test(`fuzz: ${target.name} takes or refuses whatever it gets`, async () => {
    const corpus = corpusOf(target);
    assert.ok(corpus.length > 0, "it has a corpus");
    const { inputs } = await runKept({ target, corpus, seed: 1, first: 0, count: inputsEach + corpus.length });
    assert.equal(inputs, inputsEach + corpus.length);
  });
}

test("fuzz: the same seed and number give the same input", () => {
  const [target] = allTargets();
  assert.ok(target);
  const plan = { target, corpus: corpusOf(target), seed: 7, first: 0, count: 1 };
  const words = target.words.map((word) => onNode.encodeUtf8(word));
  for (const number of [0, 5, 77, 100_000]) {
    assert.deepEqual(inputOf(plan, words, number), inputOf(plan, words, number));
  }
});

test("fuzz: an exception that nobody promised, and a fact that does not hold, are findings", async () => {
  const faulty = (run: () => string): Target => ({ name: "names", words: [], comparable: true, run });
  const plan = { corpus: [new Uint8Array()], seed: 1, first: 0, count: 1 };
  const failing = [
    () => {
      throw new TypeError("x is undefined");
    },
    () => {
      demand(false, "a fact");
      return "";
    },
  ];
  for (const run of failing)
    await assert.rejects(runPlan({ ...plan, target: faulty(run) }, onNode), /x is undefined|a fact/);
  assert.throws(
    () =>
      judge(
        faulty(() => ""),
        new Error(""),
      ),
    Finding,
  );
});

/** The targets with the shim's own reader under the generated code, as the build has it. */
async function withOwnReader(): Promise<readonly Target[]> {
  const folder = mkdtempSync(join(tmpdir(), "moor-fuzz-"));
  try {
    const outfile = join(folder, "targets.mjs");
    await build({
      entryPoints: [join(repositoryDir(), "test/fuzz/targets.ts")],
      outfile,
      bundle: true,
      format: "esm",
      platform: "neutral",
      mainFields: ["module", "main"],
      alias: { "@bufbuild/protobuf/wire": join(repositoryDir(), "src/api/wire.ts") },
      logLevel: "error",
    });
    const own = (await import(pathToFileURL(outfile).href)) as { allTargets(): readonly Target[] };
    return own.allTargets();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function outcome(target: Target | undefined, input: Uint8Array): Promise<string> {
  try {
    return (await target?.run(input.slice())) ?? "";
  } catch (thrown) {
    return `refused: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
  }
}

test("fuzz: the shim's protobuf reader and @bufbuild/protobuf's read the same, or refuse", async () => {
  const own = (await withOwnReader()).find(({ name }) => name === "messages");
  const other = allTargets().find(({ name }) => name === "messages");
  assert.ok(own && other);
  const plan = { target: other, corpus: corpusOf(other), seed: 3, first: 0, count: 1 };
  const words = other.words.map((word) => onNode.encodeUtf8(word));
  let both = 0;
  for (let number = 0; number < 3000; number++) {
    const input = inputOf(plan, words, number);
    const ours = await outcome(own, input);
    const theirs = await outcome(other, input);
    // Ours takes no varint of more than ten bytes, theirs no tag that takes more than five where four would do.
    if (ours.startsWith("refused")) {
      assert.ok(theirs.startsWith("refused") || ours.endsWith("invalid varint"), `${number}: ${ours}, ${theirs}`);
    } else if (theirs.startsWith("refused")) assert.match(theirs, /varint overflows uint32/, `${number}: ${ours}`);
    else {
      assert.equal(ours, theirs, `input ${number}`);
      both++;
    }
  }
  assert.ok(both > 500, `${both} were read by both`);
});
