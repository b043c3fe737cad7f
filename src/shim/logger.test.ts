import assert from "node:assert/strict";
import { test } from "node:test";
import type { Fd } from "../sys/sys.d.ts";
import { formatLine, type Level, Logger, openLogFifo, ringLength } from "./logger.ts";
import { SmallSystem } from "./small-system.fixture.ts";

const time = 1_767_323_045_000_000_006n;
const stamp = 'time="2026-01-02T03:04:05.000000006Z"';

function opened(level: Level = "info"): { system: SmallSystem; logger: Logger; lines: string[] } {
  const system = new SmallSystem();
  const lines: string[] = [];
  system.timeNs = time;
  system.fifos.set("/log", lines);
  const fd = openLogFifo(system.sys, "/log") as Fd;
  return { system, logger: new Logger(system.sys, { fd, level }), lines };
}

test("formatLine: as logrus: bare where it can be, quoted as Go quotes, fields by name", () => {
  const line = formatLine(time, "info", "shim started", {
    pid: 12,
    id: "c1",
    big: 3n,
    on: true,
    path: "/run/a-b_c@^+.x",
  });
  assert.equal(line, `${stamp} level=info msg="shim started" big=3 id=c1 on=true path=/run/a-b_c@^+.x pid=12`);
  assert.equal(formatLine(time, "warning", "late", { why: "" }), `${stamp} level=warning msg=late why=`);
});

test("formatLine: each character as strconv.Quote has it", () => {
  const quoted: Readonly<Record<string, string>> = {
    "a b": '"a b"',
    "a=b": '"a=b"',
    "a:b": '"a:b"',
    "a,b": '"a,b"',
    'say "x"': String.raw`"say \"x\""`,
    "back\\slash": String.raw`"back\\slash"`,
    "two\nlines\r\n": String.raw`"two\nlines\r\n"`,
    "\u0007\b\f\t\v": String.raw`"\a\b\f\t\v"`,
    "\0\u001b[31m\u007f": String.raw`"\x00\x1b[31m\x7f"`,
    "grüße 日本 😀": '"grüße 日本 😀"',
    "\u0080\u00a0\u00ad\u200b\u2028\ufeff": String.raw`"\u0080\u00a0\u00ad\u200b\u2028\ufeff"`,
    "\u{e0001}": String.raw`"\U000e0001"`,
  };
  for (const [text, expected] of Object.entries(quoted)) {
    assert.equal(formatLine(time, "info", "x", { key: text }), `${stamp} level=info msg=x key=${expected}`);
  }
});

test("Logger: levels by logrus's names; debug lines only when they are wanted", () => {
  const { logger, lines } = opened();
  logger.debug("unheard");
  logger.info("one");
  logger.warn("two");
  logger.error("three", { error: "no luck" });
  assert.equal(logger.setLevel("debug"), "info");
  logger.debug("four");
  logger.setLevel("info");
  logger.debug("unheard");
  assert.deepEqual(lines, [
    `${stamp} level=info msg=one\n`,
    `${stamp} level=warning msg=two\n`,
    `${stamp} level=error msg=three error="no luck"\n`,
    `${stamp} level=debug msg=four\n`,
  ]);
  assert.deepEqual(
    logger.ring().lines.map((line) => `${line}\n`),
    lines,
  );
});

test("Logger: below the level nothing is written; the ring has what is not for debugging", () => {
  const { logger, lines } = opened("warning");
  logger.debug("unheard");
  logger.info("one");
  logger.warn("two");
  logger.error("three");
  assert.deepEqual(lines, [`${stamp} level=warning msg=two\n`, `${stamp} level=error msg=three\n`]);
  assert.equal(logger.ring().lines.length, 3);
});

test("Logger: what a full FIFO does not take is dropped, and said once it takes again; the ring has all", () => {
  const { system, logger, lines } = opened();
  logger.info("before");
  system.fifoFull = true;
  for (const message of ["a", "b", "c"]) logger.info(message);
  system.fifoFull = false;
  logger.info("after");
  assert.deepEqual(lines, [
    `${stamp} level=info msg=before\n`,
    `${stamp} level=warning msg="3 earlier lines were dropped: the log had no room"\n`,
    `${stamp} level=info msg=after\n`,
  ]);
  assert.equal(logger.ring().lines.length, 5);
});

test("Logger: a line longer than a FIFO takes whole is cut, and ends as a line", () => {
  const { logger, lines } = opened();
  logger.info("x".repeat(5000));
  assert.equal(lines[0]?.length, 4096);
  assert.ok(lines[0]?.endsWith("x\n"));
});

test("Logger: without a FIFO the ring alone, bounded", () => {
  const system = new SmallSystem();
  const logger = new Logger(system.sys, { level: "debug" });
  let heard = 0;
  logger.onLine = () => heard++;
  for (let count = 0; count < 1000; count++) logger.debug(`line-${count}`);
  const { lines, before } = logger.ring();
  const held = lines.join("").length;
  assert.ok(held <= ringLength && held > ringLength - 100, `${held} characters`);
  assert.equal(before + lines.length, 1000);
  assert.match(lines[0] ?? "", new RegExp(`msg=line-${before}$`));
  assert.match(lines.at(-1) ?? "", /msg=line-999$/);
  assert.equal(heard, 1000);
  logger.debug("x".repeat(5000));
  assert.ok(logger.ring().lines.join("").length <= ringLength);
});

test("openLogFifo: only a FIFO", () => {
  const system = new SmallSystem();
  system.files.set("/file", new Uint8Array());
  assert.equal(openLogFifo(system.sys, "/file"), undefined);
  assert.equal(openLogFifo(system.sys, "/nothing"), undefined);
  assert.equal(system.openFds.size, 0);
});
