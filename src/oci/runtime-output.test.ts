import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeSystem } from "./fake-system.fixture.ts";
import { OutputTap } from "./runtime-output.ts";

test("OutputTap: short output is kept whole, and both ends of the pipe are closed", () => {
  const system = new FakeSystem();
  const tap = new OutputTap(system.sys, 100);
  system.feed(tap.writeFd, "hello ");
  system.feed(tap.writeFd, "world\n");
  tap.closeWriteEnd();
  tap.finish();
  tap.finish();
  assert.equal(tap.text(), "hello world\n");
  assert.equal(tap.cut, false);
  assert.equal(system.fds.size, 0);
});

test("OutputTap: of long output the first and the last bytes are kept, with a note between", () => {
  const system = new FakeSystem();
  const tap = new OutputTap(system.sys, 10);
  for (let line = 0; line < 1000; line++) system.feed(tap.writeFd, `${String(line).padStart(4, "0")}\n`);
  tap.finish();
  assert.equal(tap.text(), "0000\n0001\n\n[4980 bytes left out]\n0998\n0999\n");
  assert.equal(tap.cut, true);
});

test("OutputTap: exactly twice the bound is kept whole", () => {
  const system = new FakeSystem();
  const tap = new OutputTap(system.sys, 5);
  system.feed(tap.writeFd, "0123456789");
  tap.finish();
  assert.equal(tap.text(), "0123456789");
  assert.equal(tap.cut, false);
});

test("OutputTap: every split of the same bytes gives the same text", () => {
  const all = "abcdefghijklmnopqrstuvwxyz";
  const whole = ((): string => {
    const system = new FakeSystem();
    const tap = new OutputTap(system.sys, 8);
    system.feed(tap.writeFd, all);
    tap.finish();
    return tap.text();
  })();
  for (let size = 1; size < all.length; size++) {
    const system = new FakeSystem();
    const tap = new OutputTap(system.sys, 8);
    for (let at = 0; at < all.length; at += size) system.feed(tap.writeFd, all.slice(at, at + size));
    tap.finish();
    assert.equal(tap.text(), whole, `pieces of ${size}`);
  }
});
