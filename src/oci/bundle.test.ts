import assert from "node:assert/strict";
import { test } from "node:test";
import { MoorError } from "../sys/error.ts";
import { groupOf, parseSpec, readSpec, rootfsOf, sharesPidNamespace } from "./bundle.ts";
import { FakeSystem } from "./fake-system.fixture.ts";

const spec = (fields: object) => parseSpec(JSON.stringify({ process: {}, ...fields }), "/b/config.json");

function refused(run: () => unknown, text: RegExp): void {
  assert.throws(run, (thrown: unknown) => {
    assert.ok(thrown instanceof MoorError);
    assert.equal(thrown.code, "invalid_argument");
    assert.match(thrown.message, text);
    return true;
  });
}

test("readSpec: a bundle without config.json, or with one that is too large, is refused by name", () => {
  const { sys, files } = new FakeSystem();
  refused(() => readSpec(sys, "/b"), /\/b\/config\.json: ENOENT/);
  files.set("/b/config.json", " ".repeat(16 * 1024 * 1024 + 1));
  refused(() => readSpec(sys, "/b"), /EFBIG/);
  files.set("/b/config.json", '{"process":{"args":["true"]}}');
  assert.deepEqual(readSpec(sys, "/b").process["args"], ["true"]);
});

test("parseSpec: what is no spec is refused with the reason", () => {
  const cases: [string, RegExp][] = [
    ["", /is not JSON/],
    ["{", /is not JSON/],
    ["[]", /not a JSON object/],
    ["null", /not a JSON object/],
    ["{}", /has no process/],
    ['{"process":null}', /has no process/],
    ['{"process":[]}', /process that is not an object/],
    ['{"process":{},"root":"x"}', /root that is not an object/],
    ['{"process":{},"root":{"path":1}}', /root\.path/],
    ['{"process":{},"annotations":[]}', /annotations/],
    ['{"process":{},"annotations":{"a":1}}', /annotation "a"/],
    ['{"process":{},"linux":1}', /linux section/],
    ['{"process":{},"linux":{"namespaces":{}}}', /not a list/],
    ['{"process":{},"linux":{"namespaces":[{}]}}', /without a type/],
    ['{"process":{},"linux":{"namespaces":[{"type":"pid","path":2}]}}', /pid namespace/],
  ];
  for (const [text, reason] of cases) refused(() => parseSpec(text, "/b/config.json"), reason);
});

test("parseSpec: Go's null is as good as absent", () => {
  const nulls = spec({ root: null, annotations: null, linux: { namespaces: null } });
  assert.equal(groupOf(nulls), undefined);
  assert.equal(rootfsOf(nulls, "/b"), "/b/rootfs");
  assert.equal(sharesPidNamespace(nulls), true);
  assert.equal(rootfsOf(spec({ root: { path: null } }), "/b"), "/b/rootfs");
});

test("groupOf: the runc annotation wins over CRI's; an empty one is none", () => {
  const runc = "io.containerd.runc.v2.group";
  const cri = "io.kubernetes.cri.sandbox-id";
  assert.equal(groupOf(spec({})), undefined);
  assert.equal(groupOf(spec({ annotations: { [cri]: "pod" } })), "pod");
  assert.equal(groupOf(spec({ annotations: { [cri]: "pod", [runc]: "group" } })), "group");
  assert.equal(groupOf(spec({ annotations: { [cri]: "pod", [runc]: "" } })), "pod");
});

test("sharesPidNamespace: only a new pid namespace is the container's own", () => {
  assert.equal(sharesPidNamespace(spec({})), true);
  assert.equal(sharesPidNamespace(spec({ linux: { namespaces: [{ type: "mount" }] } })), true);
  assert.equal(sharesPidNamespace(spec({ linux: { namespaces: [{ type: "pid" }] } })), false);
  assert.equal(sharesPidNamespace(spec({ linux: { namespaces: [{ type: "pid", path: "" }] } })), false);
  assert.equal(sharesPidNamespace(spec({ linux: { namespaces: [{ type: "pid", path: "/proc/1/ns/pid" }] } })), true);
});

test("rootfsOf: relative to the bundle, absolute, any name", () => {
  assert.equal(rootfsOf(spec({}), "/b"), "/b/rootfs");
  assert.equal(rootfsOf(spec({ root: { path: "" } }), "/b"), "/b/rootfs");
  assert.equal(rootfsOf(spec({ root: { path: "merged/fs" } }), "/b"), "/b/merged/fs");
  assert.equal(rootfsOf(spec({ root: { path: "/var/fs" } }), "/b"), "/var/fs");
});
