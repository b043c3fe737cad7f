import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeSystem } from "./fake-system.fixture.ts";
import { causeFromStderr, lastError, readLastError } from "./runtime-log.ts";

test("lastError: the last error or fatal entry, by runc or by crun; warnings are none", () => {
  const runc = `{"level":"warning","msg":"w","time":"2026-01-01T00:00:00Z"}
{"level":"fatal","msg":"nsexec-1[7]: failed to open ns","time":"2026-01-01T00:00:00Z"}
{"level":"error","msg":"exec failed: setns process: exit status 1\\n","time":"2026-01-01T00:00:00Z"}
{"level":"warning","msg":"later","time":"2026-01-01T00:00:00Z"}
`;
  assert.equal(lastError(runc), "exec failed: setns process: exit status 1");
  const crun =
    '{"msg":"fail startup","level":"error","time":"t"}\n{"msg":"setns: No such process","level":"error","time":"t"}\n';
  assert.equal(lastError(crun), "setns: No such process");
  assert.equal(lastError('{"level":"warning","msg":"w"}\n'), undefined);
  assert.equal(lastError(""), undefined);
});

test("lastError: plain text of logrus is understood, halves of lines are passed over", () => {
  assert.equal(lastError('time="2026" level=error msg="a \\"b\\" c"'), 'a "b" c');
  assert.equal(lastError("time=x level=fatal msg=short"), "short");
  assert.equal(lastError('rror","msg":"cut"}\n{"level":"error","msg":"whole"}\n{"level":"err'), "whole");
});

test("lastError: objects spread over several lines, as crun with json-c writes them, whole or cut", () => {
  const entry = (msg: string, level = "error"): string =>
    `{\n  "msg": "${msg}",\n  "level": "${level}",\n  "time": "2026-01-01T00:00:00.1Z"\n}\n`;
  assert.equal(lastError(entry("open `\\/run\\/c1\\/status`: No such file")), "open `/run/c1/status`: No such file");
  assert.equal(lastError(entry("first") + entry("second") + entry("later", "warning")), "second");
  const cutAtBothEnds = `sg": "cut",\n  "level": "error"\n}\n${entry("whole")}{\n  "msg": "cut`;
  assert.equal(lastError(cutAtBothEnds), "whole");
  assert.equal(lastError(`{\n  "msg": "torn",\n${entry("whole")}`), "whole");
  assert.equal(lastError(`${entry("one")}{"level":"error","msg":"on a line"}\n`), "on a line");
});

test("lastError: crun's empty word is the cause only when there is no other", () => {
  const line = (msg: string): string => `{"msg":"${msg}","level":"error"}\n`;
  assert.equal(lastError(line("setns: EBADF") + line("fail startup")), "setns: EBADF");
  assert.equal(lastError(line("fail startup") + line("setns: EBADF")), "setns: EBADF");
  assert.equal(lastError(line("fail startup")), "fail startup");
});

test("lastError: a cause without end is cut", () => {
  const cause = lastError(JSON.stringify({ level: "error", msg: "x".repeat(100_000) })) ?? "";
  assert.ok(cause.length < 9_000 && cause.endsWith("(cut)"));
});

test("causeFromStderr: the error in it, else the text itself, else nothing", () => {
  assert.equal(causeFromStderr("unknown command events\n"), "unknown command events");
  assert.equal(causeFromStderr('hello\n{"level":"error","msg":"why"}\n'), "why");
  assert.equal(causeFromStderr(" \n"), undefined);
  const long = causeFromStderr(`first ${"x".repeat(100_000)} last`) ?? "";
  assert.ok(long.length < 9_000 && long.startsWith("first x") && long.endsWith("x last"));
});

test("readLastError: only the end of a long log is read", () => {
  const { sys, files, fds } = new FakeSystem();
  const noise = '{"level":"debug","msg":"noise"}\n'.repeat(10_000);
  files.set("/b/log.json", `{"level":"error","msg":"early"}\n${noise}`);
  assert.equal(readLastError(sys, "/b/log.json"), undefined);
  files.set("/b/log.json", `${noise}{"level":"error","msg":"late"}\n`);
  assert.equal(readLastError(sys, "/b/log.json"), "late");
  assert.equal(readLastError(sys, "/b/none.json"), undefined);
  assert.equal(fds.size, 0);
});
