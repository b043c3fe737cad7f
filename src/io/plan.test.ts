import assert from "node:assert/strict";
import { test } from "node:test";
import { MoorError } from "../sys/error.ts";
import { planStdio, type StreamPlan } from "./plan.ts";

function stdoutPlan(address: string): StreamPlan {
  return planStdio({ stdin: "", stdout: address, stderr: "", terminal: false }).stdout;
}

function refuses(addresses: Partial<Parameters<typeof planStdio>[0]>, text: RegExp): void {
  assert.throws(
    () => planStdio({ stdin: "", stdout: "", stderr: "", terminal: false, ...addresses }),
    (thrown) => thrown instanceof MoorError && thrown.code === "invalid_argument" && text.test(thrown.message),
  );
}

test("plan: nothing, a path, and the schemes", () => {
  assert.deepEqual(stdoutPlan(""), { kind: "none" });
  assert.deepEqual(stdoutPlan("/run/a b?c#d%20"), { kind: "path", path: "/run/a b?c#d%20" });
  assert.deepEqual(stdoutPlan("fifo:///run/a%20b"), { kind: "path", path: "/run/a b" });
  assert.deepEqual(stdoutPlan("FIFO:/run/x"), { kind: "path", path: "/run/x" });
  assert.deepEqual(stdoutPlan("file:///var/log/%C3%BC.log#part"), { kind: "file", path: "/var/log/ü.log" });
  assert.deepEqual(stdoutPlan("binary:///bin/log"), { kind: "logger", version: 1, file: "/bin/log", args: [] });
  assert.deepEqual(stdoutPlan("binary-v2:///bin/log"), { kind: "logger", version: 2, file: "/bin/log", args: [] });
});

test("plan: a logger's arguments are the keys and their first values, in order", () => {
  const plan = stdoutPlan("binary:///bin/log?b=2&a=1&b=3&flag&&c=x+y%2Bz%3D=&=e");
  assert.equal(plan.kind, "logger");
  assert.deepEqual("args" in plan && plan.args, ["b", "2", "a", "1", "flag", "", "c", "x y+z==", "", "e"]);
});

test("plan: what makes no sense is refused by name", () => {
  refuses(
    { stdout: "carrier-pigeon:///coop" },
    /^stdout address "carrier-pigeon:\/\/\/coop": unknown scheme carrier-pigeon$/,
  );
  refuses({ stderr: "run/x" }, /^stderr .*no absolute path/);
  refuses({ stdout: "file://var/log/x" }, /not absolute/);
  refuses({ stdout: "file:x" }, /not absolute/);
  refuses({ stdout: "binary://" }, /not absolute/);
  refuses({ stdout: "file:///x?max=1" }, /takes no options/);
  refuses({ stdout: "file:///x%zz" }, /two digits/);
  refuses({ stdout: "file:///x%ff" }, /two digits/);
  refuses({ stdout: "file:///x%00" }, /zero byte/);
  refuses({ stdout: "/x\0" }, /zero byte/);
  refuses({ stdin: "file:///x" }, /^stdin .*only output/);
  refuses({ stdin: "binary:///x" }, /^stdin .*only output/);
});

test("plan: a logger takes both outputs", () => {
  const uri = "binary:///bin/log?a=b";
  const logger = { kind: "logger", version: 1, file: "/bin/log", args: ["a", "b"] };
  for (const stderr of ["", uri]) {
    const plan = planStdio({ stdin: "/in", stdout: uri, stderr, terminal: false });
    assert.deepEqual(plan, { stdin: { kind: "path", path: "/in" }, stdout: logger, stderr: logger });
  }
  refuses({ stdout: uri, stderr: "/run/err" }, /^stderr .*both outputs/);
  refuses({ stdout: "/run/out", stderr: uri }, /^stderr .*both outputs/);
  refuses({ stderr: uri }, /^stderr .*both outputs/);
});

test("plan: a terminal has one output", () => {
  const plan = planStdio({ stdin: "", stdout: "/run/out", stderr: "binary:///bin/log", terminal: true });
  assert.deepEqual(plan, {
    stdin: { kind: "none" },
    stdout: { kind: "path", path: "/run/out" },
    stderr: { kind: "none" },
  });
  refuses({ terminal: true, stderr: "x://y" }, /unknown scheme/);
});
