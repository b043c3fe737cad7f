import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { posix } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { EAGAIN, ECONNREFUSED } from "../sys/errno.ts";
import { MoorError } from "../sys/error.ts";
import { answers, defaultSocketFolder, pathOfAddress, socketPath } from "./address.ts";
import { SmallSystem } from "./small-system.fixture.ts";

const { sys } = new SmallSystem();

function hashed(text: string): string {
  return `/s/${createHash("sha256").update(text).digest("hex")}`;
}

test("socketPath: the hash of address, namespace and id, joined as a path", () => {
  const path = socketPath(sys, "/s", "/run/containerd/containerd.sock", "k8s.io", "c1");
  assert.equal(path, hashed("/run/containerd/containerd.sock/k8s.io/c1"));
  assert.equal(socketPath(sys, "/s", "", "ns", "c1"), hashed("ns/c1"));
  assert.equal(socketPath(sys, "/s", "//run/./x/../c.sock/", "ns", "c1"), hashed("/run/c.sock/ns/c1"));
  assert.equal(socketPath(sys, "/s", "/../c.sock", "ns", "é"), hashed("/c.sock/ns/é"));
  assert.equal(socketPath(sys, "/s", "", "", ""), hashed(""));
});

test("socketPath: joined as Node joins paths, but for a slash at the end, which Go takes away", () => {
  const part = fc
    .array(fc.constantFrom("a", "b.c", ".", "..", "", "/"), { maxLength: 6 })
    .map((words) => words.join("/"));
  fc.assert(
    fc.property(part, part, part, (address, namespace, id) => {
      const joined = [address, namespace, id].some((each) => each !== "") ? posix.join(address, namespace, id) : "";
      const clean = joined.length > 1 ? joined.replace(/\/$/, "") : joined;
      assert.equal(socketPath(sys, "/s", address, namespace, id), hashed(clean));
    }),
  );
});

test("socketPath: a folder too long for a unix socket is refused, with the limit", () => {
  // 64 digits, a slash, and the 107 bytes of sun_path.
  const longest = `/${"x".repeat(107 - 65 - 1)}`;
  assert.equal(socketPath(sys, longest, "a", "b", "c").length, 107);
  assert.throws(
    () => socketPath(sys, `${longest}x`, "a", "b", "c"),
    (thrown) => thrown instanceof MoorError && thrown.code === "invalid_argument" && /108 bytes/.test(thrown.message),
  );
  assert.ok(socketPath(sys, defaultSocketFolder, "a", "b", "c").length < 107);
});

test("pathOfAddress: of a unix address or a bare path", () => {
  assert.equal(pathOfAddress("unix:///run/s/1"), "/run/s/1");
  assert.equal(pathOfAddress("/run/s/1"), "/run/s/1");
  for (const other of ["", "unix://run/s", "tcp://1.2.3.4:5", "run/s"]) assert.equal(pathOfAddress(other), undefined);
});

test("answers: true only where somebody listens; the connection is closed", () => {
  const system = new SmallSystem();
  system.fifos.set("/listens", []);
  assert.equal(answers(system.sys, "/listens"), true);
  assert.equal(answers(system.sys, "/nobody"), false);
  system.failing.set("unixConnect", ECONNREFUSED);
  assert.equal(answers(system.sys, "/stale"), false);
  system.failing.set("unixConnect", EAGAIN);
  assert.equal(answers(system.sys, "/busy"), true, "its queue is full");
  assert.equal(system.openFds.size, 0);
});
