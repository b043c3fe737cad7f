// The conformance suite as its users call it, against Moor: every case passes, and nothing is left after it.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "./harness/command.ts";
import { repositoryDir } from "./harness/repository.ts";

const main = join(repositoryDir(), "build/js/conformance/main.js");
const withinMs = 300_000;

interface Results {
  readonly columns: readonly { readonly results: readonly { id: string; outcome: string; detail: string }[] }[];
}

test("conformance: Moor passes every case", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "moor-conformance-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const json = join(dir, "results.json");
  const { status, stdout, stderr } = await run([process.execPath, main, "--json", json], { deadlineMs: withinMs });
  assert.equal(status, 0, `${stderr}${stdout}`);
  const { columns } = JSON.parse(readFileSync(json, "utf8")) as Results;
  assert.equal(columns.length, 1);
  assert.deepEqual(
    columns[0]?.results.filter(({ outcome }) => outcome !== "pass"),
    [],
  );
  assert.match(stdout, /Moor: \d+ pass, 0 fail, 0 n\/a/);
});

test("conformance: wrong words are told, and exit with 2", async () => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [["--runtime", "io.containerd.nosuch.v9"], /containerd-shim-nosuch-v9 is not in PATH/],
    [["--runtime", "/no/such/shim"], /there is no \/no\/such\/shim/],
    [["--only", "nothing"], /no case's id begins with nothing/],
    [["--jobs", "0"], /--jobs takes a number above 0/],
    [["--without-moor"], /--without-moor needs a --runtime/],
    [["--nosuch"], /nosuch/],
  ];
  for (const [words, told] of wrong) {
    const { status, stderr, stdout } = await run([process.execPath, main, ...words]);
    assert.equal(status, 2, words.join(" "));
    assert.match(stderr, told);
    assert.equal(stdout, "");
  }
  const help = await run([process.execPath, main, "--help"]);
  assert.equal(help.status, 0);
  assert.match(help.stdout, /--runtime NAME\|FILE/);
});

test("conformance: a shim that is none falls short, with a sentence for each case, and exit status 1", async () => {
  const words = ["--runtime", "/bin/true", "--only", "start.plain,life.whole", "--without-moor"];
  const { status, stdout } = await run([process.execPath, main, ...words]);
  assert.equal(status, 1, stdout);
  assert.match(stdout, /FAIL {2}start\.plain: start prints what is no answer: ""/);
  assert.match(stdout, /true: 1 pass, 2 fail, 0 n\/a/);
});
