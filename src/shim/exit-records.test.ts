import assert from "node:assert/strict";
import { test } from "node:test";
import { EACCES } from "../sys/errno.ts";
import { MoorError } from "../sys/error.ts";
import type { Pid } from "../sys/sys.d.ts";
import { type ExitRecord, ExitRecords, formatRecords, parseRecords, readExitRecords } from "./exit-records.ts";
import { SmallSystem } from "./small-system.fixture.ts";

const ofInit: ExitRecord = { pid: 100 as Pid, status: 137, atNs: 1_767_323_045_000_000_006n };
const ofExec: ExitRecord = { pid: 200 as Pid, status: 0, atNs: 7n };

test("ExitRecords: what is added can be read by another process, in a form for people too", () => {
  const system = new SmallSystem();
  const records = new ExitRecords(system.sys, "/b");
  records.add("c1", ofInit);
  records.add("e1", ofExec);
  assert.deepEqual(
    [...readExitRecords(system.sys, "/b")],
    [
      ["c1", ofInit],
      ["e1", ofExec],
    ],
  );
  records.remove("e1");
  records.remove("e2");
  const text = '{"version":1,"exits":{"c1":{"pid":100,"status":137,"exitedAt":"2026-01-02T03:04:05.000000006Z"}}}\n';
  assert.equal(system.text("/b/exits.json"), text);
  assert.deepEqual([...system.files.keys()], ["/b/exits.json"]);
});

test("ExitRecords: a disk that refuses leaves the old file whole and no other; the record is written with the next", () => {
  const system = new SmallSystem();
  const records = new ExitRecords(system.sys, "/b");
  records.add("c1", ofInit);
  const before = system.text("/b/exits.json");
  system.diskFull = true;
  assert.throws(
    () => records.add("e1", ofExec),
    (thrown) => thrown instanceof MoorError && /ENOSPC/.test(thrown.message),
  );
  system.diskFull = false;
  system.failing.set("rename", EACCES);
  assert.throws(() => records.add("e1", ofExec), /rename .*EACCES/);
  system.failing.clear();
  assert.equal(system.text("/b/exits.json"), before);
  assert.deepEqual([...system.files.keys()], ["/b/exits.json"]);
  records.add("e2", ofExec);
  assert.deepEqual([...readExitRecords(system.sys, "/b").keys()], ["c1", "e1", "e2"]);
});

test("formatRecords, parseRecords: any id", () => {
  const records = new Map(["__proto__", "constructor", "1", 'a"b', "é"].map((id) => [id, ofExec] as const));
  const read = parseRecords(formatRecords(records));
  assert.deepEqual(new Set(read.keys()), new Set(records.keys()));
});

test("readExitRecords: empty when there is no file or it makes no sense; odd entries are left out", () => {
  const system = new SmallSystem();
  assert.equal(readExitRecords(system.sys, "/b").size, 0);
  const whole = formatRecords(new Map([["c1", ofInit]]));
  for (let length = 0; length < whole.trim().length; length++) {
    assert.equal(parseRecords(whole.slice(0, length)).size, 0, `cut after ${length}`);
  }
  for (const text of [
    "null",
    "1",
    "[]",
    '{"exits":null}',
    '{"exits":{"a":null,"b":{"pid":"1","status":2,"exitedAt":"x"}}}',
  ]) {
    assert.equal(parseRecords(text).size, 0, text);
  }
  const mixed = whole.replace('"c1"', '"bad":{"pid":1,"status":2,"exitedAt":"never"},"c1"');
  assert.deepEqual([...parseRecords(mixed)], [["c1", ofInit]]);
});

test("parseRecords: numbers that no answer can hold are left out", () => {
  const good = '{"pid":1,"status":2,"exitedAt":"2026-01-02T03:04:05Z"}';
  for (const [from, to] of [
    ["1", "-1"],
    ["1", "1.5"],
    ["2", "4294967296"],
    ["2026", "0001"],
  ]) {
    const text = `{"exits":{"a":${good.replace(from ?? "", to ?? "")},"b":${good}}}`;
    assert.deepEqual([...parseRecords(text).keys()], ["b"], text);
  }
});
