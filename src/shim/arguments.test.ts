import assert from "node:assert/strict";
import { test } from "node:test";
import { MoorError } from "../sys/error.ts";
import { type ShimArguments, parseArguments } from "./arguments.ts";

const nothing: ShimArguments = {
  action: "start",
  namespace: "",
  id: "",
  address: "",
  bundle: "",
  publishBinary: "",
  debug: false,
};

function parsed(line: string): ShimArguments {
  return parseArguments(line.split(" ").filter((word) => word !== ""));
}

function refused(line: string, text: RegExp): void {
  assert.throws(
    () => parsed(line),
    (thrown) => thrown instanceof MoorError && thrown.code === "invalid_argument" && text.test(thrown.message),
    line,
  );
}

test("parseArguments: as containerd calls for start and delete", () => {
  const common = "-namespace k8s.io -address /run/c.sock -publish-binary /usr/bin/containerd -id c1";
  const expected = {
    ...nothing,
    namespace: "k8s.io",
    address: "/run/c.sock",
    publishBinary: "/usr/bin/containerd",
    id: "c1",
  };
  assert.deepEqual(parsed(`${common} start`), expected);
  assert.deepEqual(parsed(`${common} -debug start`), { ...expected, debug: true });
  const deleted = { ...expected, action: "delete", bundle: "/b" };
  assert.deepEqual(parsed(`${common} -bundle /b delete`), deleted);
});

test("parseArguments: all forms of Go's flags", () => {
  for (const flag of ["-id c1", "--id c1", "-id=c1", "--id=c1"]) assert.equal(parsed(`${flag} start`).id, "c1", flag);
  assert.equal(parsed("-id=a=b start").id, "a=b");
  assert.equal(parsed("-id= start").id, "");
  assert.equal(parseArguments(["-id", "", "start"]).id, "");
  assert.equal(parsed("-id -x start").id, "-x", "a value may begin with a dash");
  assert.equal(parsed("-id a -id b start").id, "b", "the last one counts");
  assert.equal(parsed("-id c1 -- start").action, "start");
  for (const on of ["-debug", "-debug=true", "-debug=1", "-debug=T"]) assert.equal(parsed(`${on} start`).debug, true);
  for (const off of ["-debug=false", "-debug=0", "-debug=F"]) assert.equal(parsed(`${off} start`).debug, false);
  assert.equal(parsed("start -id c1").id, "", "flags end at the action");
});

test("parseArguments: actions that are flags need no other word, and help goes first", () => {
  for (const [line, action] of [
    ["-v", "version"],
    ["-version", "version"],
    ["-info", "info"],
    ["-h", "help"],
    ["--help", "help"],
    ["-v -help start", "help"],
    ["-info start", "info"],
    ["-v=false start", "start"],
  ] as const) {
    assert.equal(parsed(line).action, action, line);
  }
});

test("parseArguments: what makes no sense is refused by name", () => {
  refused("", /no action given/);
  refused("-id c1", /no action given/);
  refused("stop", /unknown action "stop"/);
  refused("-", /unknown action "-"/);
  refused("-colour start", /unknown flag -colour/);
  refused("-id", /flag -id needs a value/);
  refused("-debug=maybe start", /-debug takes true or false, not "maybe"/);
});
