// Requests and files made to cost as much memory as their length can buy: millions of empty messages, pairs and objects.
// Each is refused in one sentence, and the shim, whose heap is small, serves on with its container.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { DirectShim, shimAction, TASK_V2, TestBundle } from "./harness/direct-shim.ts";
import { onlyMoor } from "./harness/difference.ts";
import { encodeRequest } from "./harness/raw-ttrpc.ts";
import { assertSentence, Code, faultOf } from "./harness/refusal.ts";
import { useScene } from "./harness/scene.ts";

const scene = useScene({ withoutDaemon: true });

/** A little less than ttrpc's longest message, so that what is around it fits. */
const MOST_BYTES = (4 << 20) - 1024;
const TYPE_REQUEST = 1;

function repeated(unit: Uint8Array, bytes = MOST_BYTES): Uint8Array {
  return new Uint8Array(Buffer.alloc(bytes - (bytes % unit.length), unit));
}

function jsonList(element: string, bytes: number): string {
  const count = Math.floor(bytes / (element.length + 1)) - 1;
  return `[${new Array<string>(count).fill(element).join()}]`;
}

/** An Any in field `field` whose value is this JSON, behind an id. */
function withAny(id: string, field: number, json: string): Uint8Array {
  const head = Buffer.from([0x0a, id.length, ...Buffer.from(id)]);
  const value = Buffer.from(json);
  const any = Buffer.concat([Buffer.from([0x12]), varint(value.length), value]);
  return new Uint8Array(Buffer.concat([head, Buffer.from([(field << 3) | 2]), varint(any.length), any]));
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let left = value; ; left >>>= 7) {
    if (left < 0x80) return Buffer.from([...bytes, left]);
    bytes.push((left & 0x7f) | 0x80);
  }
}

/** Distinct pairs of metadata, each as short as can be. */
function metadata(): Uint8Array {
  const pair = Buffer.alloc(10);
  const all = Buffer.alloc(MOST_BYTES - (MOST_BYTES % pair.length));
  for (let at = 0; at < all.length; at += pair.length) {
    all.set([0x2a, 8, 0x0a, 4, ...Buffer.from((at / pair.length).toString(36).padStart(4, "0")), 0x12, 0], at);
  }
  return new Uint8Array(all);
}

test("costly input: messages of four megabytes that are millions of empty things are refused, and the shim lives", async (t) => {
  if (onlyMoor(t, "costly-input")) return;
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  await shim.create();
  await shim.call("Start");
  const { id } = shim;
  const execHead = Buffer.from([0x0a, id.length, ...Buffer.from(id), 0x12, 2, ...Buffer.from("e1")]);
  const objects = jsonList("{}", MOST_BYTES);
  const requests: readonly [what: string, method: string, payload: Uint8Array][] = [
    ["empty mounts", "Create", repeated(Uint8Array.of(0x1a, 0))],
    ["mounts with empty options", "Create", repeated(Uint8Array.of(0x1a, 2, 0x22, 0))],
    ["annotations", "Update", repeated(Uint8Array.of(0x1a, 0))],
    ["fields nobody knows", "State", repeated(Uint8Array.of(0xf8, 0x07, 1))],
    ["objects as resources", "Update", withAny(id, 2, `{"a":${objects}}`)],
    ["lists as resources", "Update", withAny(id, 2, `{"a":${jsonList("[]", MOST_BYTES)}}`)],
    ["numbers as resources", "Update", withAny(id, 2, `{"a":${jsonList("1", MOST_BYTES - 100)}}`)],
    [
      "an exec's spec",
      "Exec",
      new Uint8Array(Buffer.concat([execHead, withAny("", 7, `{"a":${objects}}`).subarray(2)])),
    ],
  ];
  for (const [what, method, payload] of requests) {
    const fault = await faultOf(what, shim.client.send(TYPE_REQUEST, encodeRequest(TASK_V2, method, payload)));
    assertSentence(what, fault, [Code.INVALID_ARGUMENT, Code.INTERNAL], /too|many|more than/);
    assert.equal((await shim.call("State")).id, id, what);
  }
  const request = Buffer.concat([encodeRequest(TASK_V2, "State", new Uint8Array()), metadata()]);
  const fault = await faultOf("metadata", shim.client.send(TYPE_REQUEST, new Uint8Array(request)));
  assertSentence("metadata", fault, [Code.INVALID_ARGUMENT], /more than/);
  await shim.end(scene);
});

test("costly input: a config.json of millions of objects is refused by start", async (t) => {
  if (onlyMoor(t, "costly-input")) return;
  const bundle = new TestBundle(scene, ["/bin/true"]);
  writeFileSync(join(bundle.dir, "config.json"), `{"process":{},"a":${jsonList("{}", 7 << 20)}}`);
  const { status, stderr } = await shimAction(scene, bundle, ["start"]);
  assert.equal(status, 1, stderr);
  assert.match(stderr, /too many/);
  bundle.remove();
});
