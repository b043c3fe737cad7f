// By force on the real kernel: no pid is signalled or attributed after its reap, and a held zombie keeps its pid. The
// facts themselves are in test/native/pid-reuse.ts, which runs in the host with the real reaper and the real sys.

import assert from "node:assert/strict";
import { join } from "node:path";
import { before, test } from "node:test";
import { run, runOk } from "./harness/command.ts";
import { repositoryDir } from "./harness/repository.ts";

const repository = repositoryDir();
const build = process.env["BUILD"] ?? join(repository, "build");
const out = join(build, "pid-reuse-test");
/** The engine is compiled when nothing is built yet. */
const buildMs = 300_000;

before(async () => {
  await runOk(["make", "-s", "-C", join(repository, "native"), `BUILD=${build}`, `${build}/moor-host`, "compiler"], {
    deadlineMs: buildMs,
  });
  const compiler = join(build, "native", "moor-compile");
  const program = `pid-reuse=${join(repository, "test", "native", "pid-reuse.ts")}`;
  await runOk([join(repository, "scripts", "build-shim.mjs"), "--compiler", compiler, "--out", out, program]);
});

test("pid reuse: nothing is sent by an old handle, the exit goes to the new owner, a held zombie keeps its pid", async (t) => {
  const env = { ...process.env, MOOR_TEST_MODULES: join(out, "bytecode"), MOOR_TEST_MAIN: "pid-reuse.js" };
  const result = await run([join(build, "moor-host")], { env, deadlineMs: 60_000 });
  assert.equal(result.status, 0, result.stderr);
  assert.doesNotMatch(result.stderr, /^not ok/m);
  assert.match(result.stderr, /^ok - 6 facts$/m);
  t.diagnostic(result.stderr.trim());
});
