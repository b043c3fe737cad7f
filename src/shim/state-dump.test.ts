import assert from "node:assert/strict";
import { test } from "node:test";
import type { LogFields } from "../sys/log.ts";
import { formatLine } from "./logger.ts";
import { logState } from "./state-dump.ts";

test("logState: any amount of JSON in lines that a FIFO takes whole, to be put together again", () => {
  const lines: { message: string; fields: LogFields }[] = [];
  const note = (message: string, fields: LogFields = {}): void => void lines.push({ message, fields });
  const containers = Array.from({ length: 200 }, (_, index) => ({ id: `"c-${index}"\n`, bytes: BigInt(index) }));
  logState({ debug: note, info: note, warn: note, error: note }, { small: { a: 1 }, containers });
  assert.equal(lines[0]?.message, "state dump begins");
  assert.equal(lines.at(-1)?.message, "state dump ends");
  const texts = new Map<string, string>();
  for (const { message, fields } of lines.slice(1, -1)) {
    assert.equal(message, "state");
    assert.ok(formatLine(0n, "info", message, fields).length < 4096);
    const name = String(fields["name"]);
    texts.set(name, (texts.get(name) ?? "") + String(fields["json"]));
  }
  assert.deepEqual(JSON.parse(texts.get("small") ?? ""), { a: 1 });
  const expected = containers.map(({ id, bytes }) => ({ id, bytes: String(bytes) }));
  assert.deepEqual(JSON.parse(texts.get("containers") ?? ""), expected);
});
