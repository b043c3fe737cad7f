import assert from "node:assert/strict";
import { test } from "node:test";
import { said } from "./runtime-error.fixture.ts";
import { RuntimeError, classify } from "./runtime-error.ts";

test("classify: each thing that runtimes say means what the fixtures say", () => {
  for (const [by, text, failure] of said) assert.equal(classify(text), failure, `${by}: ${text}`);
});

test("RuntimeError: the runtime's words stand verbatim in the message, the code follows the failure", () => {
  const missing =
    'runc create failed: unable to start container process: exec: "nope": executable file not found in $PATH';
  const create = new RuntimeError("create", missing);
  assert.equal(create.message, `OCI runtime create failed: ${missing}`);
  assert.equal(create.code, "unknown");
  assert.equal(new RuntimeError("create", "container with given ID already exists").code, "already_exists");
  assert.equal(new RuntimeError("state", "container does not exist").code, "not_found");
  assert.equal(new RuntimeError("pause", "container not running").code, "failed_precondition");
  assert.equal(new RuntimeError("resume", "container not paused").code, "failed_precondition");
  assert.equal(new RuntimeError("features", "unknown command features").code, "unimplemented");
});

test("RuntimeError: a kill of what has ended is not_found in the words clients match on", () => {
  const ended = new RuntimeError("kill", "container not running");
  assert.equal(ended.code, "not_found");
  assert.match(ended.message, /container not running: process already finished: not found$/);
  const gone = new RuntimeError("kill", "error opening file `/run/crun/c1/status`: No such file or directory");
  assert.equal(gone.code, "not_found");
  assert.match(gone.message, /no such container: not found$/);
});
