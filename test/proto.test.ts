// Our .proto files against containerd's interfaces, field by field: always against the checked-in facts of 1.6 to 2.4,
// and against the original files of Debian's containerd where they are (scripts/proto-originals fetches them). And the
// generated code against our files, where protoc is.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Declarations, readProto } from "./proto-reader.ts";

const root = process.cwd();
const originalFolders = ["build/proto-originals/usr/share/gocode/src", "/usr/share/gocode/src"];
const originalParts = [
  "github.com/containerd/containerd/api",
  "github.com/containerd/containerd/runtime/v2",
  "github.com/containerd/containerd/pkg/runtimeoptions",
  "github.com/containerd/cgroups",
];

// One message that moved: the bytes are the same.
const moved: Readonly<Record<string, string>> = {
  "containerd.services.events.v1.Envelope": "containerd.types.Envelope",
  "containerd.services.events.ttrpc.v1.Envelope": "containerd.types.Envelope",
};

function protoFiles(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.endsWith(".proto")).map((name) => readFileSync(join(folder, name), "utf8"));
}

function ourDeclarations(): Declarations {
  const ours = readProto(protoFiles(join(root, "proto")));
  // Both Task services are served with one set of messages.
  for (const [name, facts] of [...ours]) {
    if (!name.startsWith("containerd.task.v2.")) continue;
    const v3 = [...facts].map(([key, fact]) => [key, fact.replaceAll("task.v2.", "task.v3.")] as const);
    ours.set(name.replace("task.v2.", "task.v3."), new Map(v3));
  }
  return ours;
}

/** full name -> key -> every form that some line of containerd has. */
function checkedInFacts(): Map<string, Map<string, { forms: string[]; newest: string }>> {
  const all = new Map<string, Map<string, { forms: string[]; newest: string }>>();
  let current = new Map<string, { forms: string[]; newest: string }>();
  for (const line of readFileSync(join(root, "test/proto-facts.txt"), "utf8").split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    if (line.startsWith("  ")) {
      const [fact = "", lines = ""] = line.trim().split("  # ");
      const key = fact.split(" ")[0] ?? "";
      const known = current.get(key) ?? { forms: [], newest: "" };
      current.set(key, { forms: [...known.forms, withMoved(fact)], newest: lines });
    } else {
      current = new Map();
      all.set(line.split(" ")[1] ?? "", current);
    }
  }
  return all;
}

function withMoved(fact: string): string {
  for (const [from, to] of Object.entries(moved)) fact = fact.replace(from, to);
  return fact;
}

test("proto: every message, enum and service of ours has all that the checked-in facts say, and nothing else", () => {
  const ours = ourDeclarations();
  const facts = checkedInFacts();
  let compared = 0;
  for (const [name, known] of facts) {
    const declared = ours.get(name);
    // Services that go over ttrpc are registered by name in the shim and have no declaration.
    if (declared === undefined && /^containerd\.(task\.v[23]|services\.events\.ttrpc\.v1)\.(Task|Events)$/.test(name))
      continue;
    assert.ok(declared, `${name} is missing from proto/`);
    for (const [key, { forms }] of known) {
      const fact = declared.get(key);
      assert.ok(
        fact !== undefined && forms.includes(fact),
        `${name}: ${fact} in proto/, ${forms.join(" or ")} in containerd`,
      );
      compared++;
    }
    for (const [key, fact] of declared) assert.ok(known.has(key), `${name}: containerd has no ${fact}`);
  }
  for (const name of ours.keys()) {
    const byOthers = name.startsWith("google.") || name.startsWith("containerd.services.snapshots.");
    if (name.startsWith("moor.")) continue;
    assert.ok(byOthers || name.startsWith("containerd.task.v3.") || facts.has(name), `${name}: no facts about it`);
  }
  assert.ok(compared > 500, `only ${compared} facts compared`);
});

test("proto: everything in Debian's original files is in ours with the same number, name and type", (context) => {
  const folder = originalFolders.find((path) => existsSync(join(path, originalParts[0] ?? "")));
  if (folder === undefined) return context.skip("the originals are not here; scripts/proto-originals fetches them");
  const texts = originalParts.flatMap((part) => (existsSync(join(folder, part)) ? protoFiles(join(folder, part)) : []));
  const originals = readProto(texts);
  const ours = ourDeclarations();
  let compared = 0;
  for (const [name, declared] of ours) {
    const original = originals.get(name);
    if (original === undefined) continue;
    for (const [key, fact] of original) {
      assert.equal(declared.get(key), withMoved(fact), `${name} in the originals`);
      compared++;
    }
  }
  assert.ok(compared > 400, `only ${compared} facts compared`);
});

test("proto: src/api is what scripts/proto makes of proto/", (context) => {
  if (spawnSync("protoc", ["--version"]).status !== 0) return context.skip("protoc is not installed");
  const check = spawnSync("scripts/proto", ["--check"], { cwd: root, encoding: "utf8" });
  assert.equal(check.status, 0, check.stderr);
});
