import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { findShim, passedSockets, type ShimCall, startShim } from "./shim-program.ts";

const dir = mkdtempSync(join(tmpdir(), "moor-cli-"));
after(() => rmSync(dir, { recursive: true }));

function program(script: string): string {
  const file = join(mkdtempSync(join(dir, "p-")), "containerd-shim-moor-v2");
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return file;
}

function call(script: string, timeoutMs = 10_000): ShimCall {
  return { program: program(script), namespace: "n", id: "i", bundle: dir, address: "/a", debug: false, timeoutMs };
}

test("passedSockets: only those that are meant for this process", () => {
  assert.equal(passedSockets({ LISTEN_FDS: "2", LISTEN_PID: "17" }, 17), 2);
  assert.equal(passedSockets({ LISTEN_FDS: "2", LISTEN_PID: "18" }, 17), 0);
  assert.equal(passedSockets({ LISTEN_FDS: "2" }, 17), 0);
  for (const count of ["", "x", "-1", "0", "1.5", "99999"]) {
    assert.equal(passedSockets({ LISTEN_FDS: count, LISTEN_PID: "17" }, 17), 0, count);
  }
});

test("findShim: by its path, by its name in PATH, and what is none", () => {
  const file = program("");
  assert.equal(findShim(file, {}), file);
  const inPath = { PATH: `/nonexistent:${file.slice(0, file.lastIndexOf("/"))}` };
  assert.equal(findShim("containerd-shim-moor-v2", inPath), file);
  for (const named of ["/nonexistent/shim", "no-such-shim", "/etc/passwd"]) {
    assert.throws(() => findShim(named, inPath), /is no program that can be run/, named);
  }
});

test("startShim: takes an address, in the bundle's folder and without a daemon's variables", async () => {
  process.env["NOTIFY_SOCKET"] = "/run/notify";
  try {
    const script = '[ -z "$NOTIFY_SOCKET" ] && [ -z "$TTRPC_ADDRESS" ] && echo "unix://$PWD/socket"';
    assert.equal(await startShim(call(script), 0), `unix://${dir}/socket`);
  } finally {
    delete process.env["NOTIFY_SOCKET"];
  }
});

test("startShim: an answer that is no address, a failure with its words, and a shim that takes too long", async () => {
  await assert.rejects(startShim(call("echo hello"), 0), /start answered "hello" instead of an address/);
  await assert.rejects(startShim(call("echo why >&2; exit 3"), 0), /start ended with status 3: why$/);
  await assert.rejects(startShim(call("exec sleep 1000", 50), 0), /start did not end within 50 ms/);
});
