import assert from "node:assert/strict";
import { test } from "node:test";
import { CliError } from "./cli-error.ts";
import { type ExecChanges, execSpecText } from "./exec-spec.ts";

const config = JSON.stringify({
  process: {
    args: ["/init"],
    cwd: "/srv",
    env: ["PATH=/bin", "A=1"],
    user: { uid: 5, gid: 6, additionalGids: [7] },
    terminal: true,
    consoleSize: { width: 1, height: 2 },
    capabilities: { bounding: ["CAP_KILL"] },
  },
});
const files: Readonly<Record<string, string>> = {
  "/etc/passwd": "root:x:0:0::/:/bin/sh\nweb:x:1000:1001::/:/bin/sh\n",
  "/etc/group": "root:x:0:\nwww:x:33:web,other\nstaff:x:50:web\n",
};
const plain: ExecChanges = { args: ["id"], terminal: false, env: [], cwd: undefined, user: undefined };

function made(changes: Partial<ExecChanges>, env: NodeJS.ProcessEnv = {}): Record<string, unknown> {
  const text = execSpecText(config, { ...plain, ...changes }, env, (path) => files[path] ?? "");
  return JSON.parse(text) as Record<string, unknown>;
}

test("execSpecText: the container's own process, but for its arguments and terminal", () => {
  assert.deepEqual(made({}), {
    args: ["id"],
    cwd: "/srv",
    env: ["PATH=/bin", "A=1"],
    user: { uid: 5, gid: 6, additionalGids: [7] },
    terminal: false,
    capabilities: { bounding: ["CAP_KILL"] },
  });
  const asked = made({ terminal: true, cwd: "/", env: ["A=2=3", "OURS", "NOT"] }, { OURS: "o" });
  assert.deepEqual([asked["terminal"], asked["cwd"]], [true, "/"]);
  assert.deepEqual(asked["env"], ["PATH=/bin", "A=2=3", "TERM=xterm", "OURS=o"]);
});

test("execSpecText: users and groups by the container's names, or by numbers", () => {
  const user = (word: string): unknown => made({ user: word })["user"];
  assert.deepEqual(user("web"), { uid: 1000, gid: 1001, additionalGids: [33, 50] });
  assert.deepEqual(user("1000"), { uid: 1000, gid: 1001, additionalGids: [33, 50] });
  assert.deepEqual(user("web:www"), { uid: 1000, gid: 33 });
  assert.deepEqual(user("77"), { uid: 77, gid: 0 });
  assert.deepEqual(user("77:88"), { uid: 77, gid: 88 });
  for (const wrong of ["", "nobody", "web:", ":www", "a:b:c", "web:nobody", "99999999999", "4294967295"]) {
    assert.throws(() => user(wrong), CliError, wrong);
  }
});
