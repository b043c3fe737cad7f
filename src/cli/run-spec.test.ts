import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRunSpec, runSpecText } from "./run-spec.ts";

const text = JSON.stringify({
  ociVersion: "1.0.2",
  process: { terminal: true, args: ["sh"], cwd: "/", env: ["A=1"] },
  root: { path: "rootfs", readonly: true },
  mounts: [
    { destination: "/data", type: "bind", source: "data", options: ["rw"] },
    { destination: "/etc/x", type: "none", source: "./x", options: ["rbind"] },
    { destination: "/proc", type: "proc", source: "proc" },
    { destination: "/abs", type: "bind", source: "/abs" },
  ],
  linux: { namespaces: [{ type: "pid" }] },
});

function rewritten(args: string[], terminal: boolean): Record<string, unknown> {
  return JSON.parse(runSpecText(parseRunSpec(text, "config.json"), "/b", { args, terminal })) as Record<
    string,
    unknown
  >;
}

test("runSpecText: root and bind mounts become absolute, other mounts stay", () => {
  const spec = rewritten([], true);
  assert.deepEqual(spec["root"], { path: "/b/rootfs", readonly: true });
  const sources = (spec["mounts"] as { source: string }[]).map((mount) => mount.source);
  assert.deepEqual(sources, ["/b/data", "/b/x", "proc", "/abs"]);
});

test("runSpecText: arguments and terminal as asked, the rest as it was", () => {
  assert.deepEqual(rewritten([], true)["process"], { terminal: true, args: ["sh"], cwd: "/", env: ["A=1"] });
  assert.deepEqual(rewritten(["ls", "-l"], false)["process"], {
    terminal: false,
    args: ["ls", "-l"],
    cwd: "/",
    env: ["A=1"],
  });
  assert.deepEqual(rewritten([], true)["linux"], { namespaces: [{ type: "pid" }] });
});

test("runSpecText: a bundle without root and mounts", () => {
  const spec = parseRunSpec('{"process":{"args":["x"]}}', "config.json");
  assert.equal(spec.terminal, false);
  const changed = JSON.parse(runSpecText(spec, "/b", { args: [], terminal: false })) as Record<string, unknown>;
  assert.deepEqual(changed["root"], { path: "/b/rootfs" });
  assert.deepEqual(changed["mounts"], []);
});

test("parseRunSpec: what is no spec is refused with the file's name", () => {
  for (const bad of ["", "[]", "{}", '{"process":1}', '{"process":{},"mounts":{}}', '{"process":{},"root":"x"}']) {
    assert.throws(() => parseRunSpec(bad, "/b/config.json"), /\/b\/config\.json/, bad);
  }
});
