import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import {
  checkpointArguments,
  createArguments,
  deleteArguments,
  execArguments,
  globalArguments,
  killArguments,
  restoreArguments,
  updateArguments,
} from "./runtime-arguments.ts";

const criu = {
  imagePath: "/img",
  workPath: "/work",
  openTcp: true,
  externalUnixSockets: true,
  terminal: true,
  fileLocks: true,
  emptyNamespaces: ["network", "ipc"],
  cgroupsMode: "soft",
};
const everything = {
  create: createArguments("c1", "/b", {
    pidFile: "/b/init.pid",
    consoleSocket: "/b/s",
    noPivot: true,
    noNewKeyring: true,
    preserveFds: 2,
  }),
  exec: execArguments("c1", "/b/p.json", { pidFile: "/b/e.pid", consoleSocket: "/b/s", preserveFds: 1 }),
  kill: killArguments("c1", 9, true),
  delete: deleteArguments("c1", true),
  update: updateArguments("c1", "/b/r.json"),
  checkpoint: checkpointArguments("c1", { ...criu, parentPath: "/parent", leaveRunning: true }),
  restore: restoreArguments("c1", "/b", { ...criu, pidFile: "/b/init.pid", consoleSocket: "/b/s", noPivot: true }),
};
const globals = { root: "/r", logPath: "/l", systemdCgroup: true, criuPath: "/criu", debug: true };

test("arguments: only what is asked for is said", () => {
  const plain = { root: "/r", logPath: "/l", systemdCgroup: false, criuPath: "", debug: false };
  assert.equal(globalArguments(plain).join(" "), "--root /r --log /l --log-format json");
  const create = createArguments("c1", "/b", { pidFile: "/b/init.pid", noPivot: false, preserveFds: 0 });
  assert.equal(create.join(" "), "create --bundle /b --pid-file /b/init.pid c1");
  const exec = execArguments("c1", "/p", { pidFile: "/b/e.pid" });
  assert.equal(exec.join(" "), "exec --process /p --detach --pid-file /b/e.pid c1");
  assert.equal(killArguments("c1", 15, false).join(" "), "kill c1 15");
  assert.equal(deleteArguments("c1", false).join(" "), "delete c1");
  assert.equal(
    checkpointArguments("c1", { imagePath: "/i", leaveRunning: false }).join(" "),
    "checkpoint --image-path /i c1",
  );
});

test("arguments: everything asked for is said", () => {
  assert.equal(
    globalArguments(globals).join(" "),
    "--root /r --log /l --log-format json --debug --criu /criu --systemd-cgroup",
  );
  assert.equal(
    everything.create.join(" "),
    "create --bundle /b --pid-file /b/init.pid --console-socket /b/s --no-pivot --no-new-keyring --preserve-fds 2 c1",
  );
  assert.equal(
    everything.checkpoint.join(" "),
    "checkpoint --image-path /img --work-path /work --parent-path /parent --tcp-established --ext-unix-sk --shell-job" +
      " --file-locks --manage-cgroups-mode soft --empty-ns network --empty-ns ipc --leave-running c1",
  );
});

// Whether the flags are real is for the runtimes to say: each one is looked for in their own help.
for (const runtime of ["runc", "crun"]) {
  test(`arguments: ${runtime} knows every flag`, (context) => {
    if (spawnSync(runtime, ["--version"]).status !== 0) return context.skip(`${runtime} is not installed`);
    const help = (...args: string[]): string => {
      const { stdout, stderr } = spawnSync(runtime, [...args, "--help"], { encoding: "utf8" });
      return stdout + stderr;
    };
    const known = (text: string, args: readonly string[], where: string): void => {
      for (const arg of args) {
        if (arg.startsWith("--")) assert.match(text, new RegExp(`${arg}\\b`), `${runtime} ${where}`);
      }
    };
    // crun has no --criu (it links the library): the option is passed only when it is set.
    known(help(), globalArguments(runtime === "crun" ? { ...globals, criuPath: "" } : globals), "before the command");
    for (const [command, args] of Object.entries(everything)) {
      // Debian's crun is built without criu and has neither command.
      if (runtime === "crun" && /unknown command/.test(help(command))) continue;
      known(help(command), args, command);
    }
  });
}
