import assert from "node:assert/strict";
import { test } from "node:test";
import { MoorError } from "../sys/error.ts";
import type { Fd } from "../sys/sys.d.ts";
import { type FakeCall, FakeSystem } from "./fake-system.fixture.ts";
import { defaultOptions } from "./options.ts";
import { Runtime, runtimeConfig } from "./runtime.ts";

const environ = ["PATH=/bin", "NOTIFY_SOCKET=/run/notify", "LISTEN_FDS=2", "LISTEN_PID=1", "LISTEN_FDNAMES=a:b", "A=1"];

function made(runtime: (call: FakeCall) => void, deadlineMs?: number): { system: FakeSystem; runtime: Runtime } {
  const system = new FakeSystem();
  system.runtime = runtime;
  const where = { namespace: "ns", bundle: "/b", environ, ...(deadlineMs === undefined ? {} : { deadlineMs }) };
  return { system, runtime: new Runtime(system.sys, system.reaper, system.log, runtimeConfig(defaultOptions, where)) };
}

function clean(system: FakeSystem): void {
  assert.equal(system.fds.size, 0, "an fd is left");
  assert.equal(system.timers.size, 0, "a timer is left");
  const files = [...system.files.keys()].filter((path) => /log-|resources-/.test(path));
  assert.deepEqual(files, [], "a file is left");
}

/** The failure, once everything that is under way has been seen. */
async function failure(promise: Promise<unknown>): Promise<MoorError> {
  try {
    await promise;
  } catch (thrown) {
    assert.ok(thrown instanceof MoorError, String(thrown));
    return thrown;
  }
  assert.fail("it did not fail");
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

test("runtimeConfig: defaults, and the namespace below whatever root", () => {
  const container = { namespace: "k8s.io", bundle: "/b", environ: [] };
  const plain = runtimeConfig(defaultOptions, container);
  assert.equal(plain.binary, "runc");
  assert.equal(plain.root, "/run/containerd/runc/k8s.io");
  const own = runtimeConfig({ ...defaultOptions, binaryName: "crun", root: "/r" }, container);
  assert.equal(own.binary, "crun");
  assert.equal(own.root, "/r/k8s.io");
});

test("Runtime.start: how the runtime is called", async () => {
  const { system, runtime } = made((call) => call.end(0));
  await runtime.start("c1");
  const request = system.calls[0]?.request;
  assert.equal(request?.file, "runc");
  const globals = "--root /run/containerd/runc/ns --log /b/log-1-0.json --log-format json";
  assert.equal(request?.argv.join(" "), `runc ${globals} start c1`);
  assert.deepEqual(request?.env, ["PATH=/bin", "A=1"]);
  assert.equal(request?.cwd, "/b");
  assert.equal(request?.parentDeathSignal, 9);
  assert.equal(request?.newGroup, true);
  clean(system);
});

test("Runtime.create: the container's stdio is the runtime's, the pid is read and claimed", async () => {
  const { system, runtime } = made((call) => {
    system.files.set(call.flag("--pid-file"), "4711");
    call.end(0);
  });
  system.files.set("/b/init.pid", "12");
  const fds = [{ target: 1, source: 99 as Fd }];
  const options = { pidFile: "/b/init.pid", fds };
  const process = await runtime.create("c1", "/b", options, system.announcement);
  assert.equal(process.pid, 4711);
  assert.deepEqual(system.claimed, [4711]);
  assert.deepEqual(system.calls[0]?.request.fds, fds);
  clean(system);
});

test("Runtime.create: with a console socket the runtime's own output is taken", async () => {
  const { system, runtime } = made((call) => {
    call.write(2, "no pty for you\n");
    call.end(1);
  });
  const options = { pidFile: "/b/init.pid", consoleSocket: "/b/pty", fds: [] };
  const error = await failure(runtime.create("c1", "/b", options, system.announcement));
  assert.equal(error.message, "OCI runtime create failed: no pty for you");
  clean(system);
});

test("Runtime.create: an old pid file is never believed, and a missing one is an error", async () => {
  const { system, runtime } = made((call) => call.end(0));
  system.files.set("/b/init.pid", "12");
  const error = await failure(runtime.create("c1", "/b", { pidFile: "/b/init.pid", fds: [] }, system.announcement));
  assert.equal(error.code, "internal");
  assert.match(error.message, /pid file \/b\/init\.pid: ENOENT/);
  assert.deepEqual(system.claimed, []);
});

test("Runtime.create: sockets are passed with LISTEN_PID set to the runtime's own pid by a shell", async () => {
  const { system, runtime } = made((call) => {
    system.files.set(call.flag("--pid-file"), "5");
    call.end(0);
  });
  const fds = [{ target: 3, source: 50 as Fd }];
  await runtime.create("c1", "/b", { pidFile: "/b/init.pid", fds, listenFds: 1 }, system.announcement);
  const request = system.calls[0]?.request;
  assert.equal(request?.file, "/bin/sh");
  assert.deepEqual(request?.argv.slice(0, 5), ["sh", "-c", 'export LISTEN_PID=$$; exec "$@"', "sh", "runc"]);
  assert.deepEqual(request?.env, ["PATH=/bin", "A=1", "LISTEN_FDS=1"]);
});

test("Runtime: the cause is the log's, verbatim, and the log stays as log.json", async () => {
  const { system, runtime } = made((call) => {
    call.log('{"level":"error","msg":"exec: \\"x\\": executable file not found in $PATH","time":"t"}\n');
    call.write(2, "something else\n");
    call.end(1);
  });
  const error = await failure(runtime.start("c1"));
  assert.equal(error.message, 'OCI runtime start failed: exec: "x": executable file not found in $PATH');
  assert.match(system.files.get("/b/log.json") ?? "", /executable file/);
  clean(system);
});

test("Runtime: a failure without a word says how the runtime ended", async () => {
  const silent = made((call) => call.end(3));
  assert.match((await failure(silent.runtime.pause("c1"))).message, /runc exited with status 3 and said nothing/);
  const killed = made((call) => call.end(137, 9));
  assert.match((await failure(killed.runtime.pause("c1"))).message, /runc was ended by signal 9/);
  clean(silent.system);
});

test("Runtime: a runtime that prints without end is read, and its error is bounded", async () => {
  const { system, runtime } = made((call) => {
    for (let block = 0; block < 200; block++) call.write(2, "x".repeat(4096));
    call.end(1);
  });
  const error = await failure(runtime.resume("c1"));
  assert.ok(error.message.length < 10_000);
  clean(system);
});

test("Runtime: a call that does not end is killed at its deadline with its whole group, and leaves nothing", async () => {
  const { system, runtime } = made(() => undefined, 50);
  const call = failure(runtime.start("c1"));
  await turns();
  system.pass(50);
  const error = await call;
  assert.equal(error.code, "deadline_exceeded");
  assert.match(error.message, /no end within 50 ms, runc was killed/);
  const pid = system.calls[0]?.pid ?? 0;
  assert.deepEqual(system.killed, [[-pid, 9]]);
  assert.deepEqual(system.calls[0]?.signals, [9]);
  clean(system);
});

test("Runtime: one call that hangs does not hold up another", async () => {
  const { system, runtime } = made((call) => {
    if (call.args[0] === "state") {
      call.write(1, '{"id":"c1","pid":7,"status":"running","bundle":"/b"}');
      call.end(0);
    }
  }, 50);
  const hanging = failure(runtime.pause("c1"));
  const state = await runtime.state("c1");
  assert.deepEqual(state, { id: "c1", pid: 7, status: "running", bundle: "/b", annotations: {} });
  system.pass(50);
  assert.equal((await hanging).code, "deadline_exceeded");
});

test("Runtime.delete: a container that the runtime does not know is as good as deleted", async () => {
  const { runtime } = made((call) => {
    call.log('{"level":"error","msg":"container does not exist"}\n');
    call.end(1);
  });
  assert.equal(await runtime.delete("c1", false), false);
  const done = made((call) => call.end(0));
  assert.equal(await done.runtime.delete("c1", true), true);
  assert.deepEqual(done.system.calls[0]?.args, ["delete", "--force", "c1"]);
});

test("Runtime.update: the resources go through a file that is gone afterwards", async () => {
  const seen: (string | undefined)[] = [];
  const { system, runtime } = made((call) => {
    seen.push(system.files.get(call.flag("--resources")));
    call.end(0);
  });
  await runtime.update("c1", '{"memory":{}}');
  assert.deepEqual(seen, ['{"memory":{}}']);
  clean(system);
});

test("Runtime.version, features, events: answers are read; an unknown command is unimplemented", async () => {
  const text: Record<string, string> = {
    "--version": "crun version 1.8.1\ncommit: abc\nrundir: /run/crun\nspec: 1.0.0\n+SYSTEMD",
    features: '{"ociVersionMin":"1.0.0"}\n',
  };
  const { system, runtime } = made((call) => {
    const answer = text[call.args[0] ?? ""];
    if (answer !== undefined) call.write(1, answer);
    else call.write(2, `unknown command ${call.args[0]}\n`);
    call.end(answer === undefined ? 1 : 0);
  });
  assert.deepEqual(await runtime.version(), { name: "crun", version: "1.8.1", commit: "abc", spec: "1.0.0" });
  assert.equal(await runtime.features(), '{"ociVersionMin":"1.0.0"}');
  assert.equal((await failure(runtime.events("c1"))).code, "unimplemented");
  clean(system);
});

test("Runtime.state: an answer that is none is an error of its own", async () => {
  const { runtime } = made((call) => {
    call.write(1, "panic: what?\n");
    call.end(0);
  });
  assert.match((await failure(runtime.state("c1"))).message, /no JSON object: panic/);
});

test("Runtime: an executable that cannot be started is named, and nothing is left", async () => {
  const { system, runtime } = made(() => undefined);
  system.reaper.spawn = () => {
    throw new MoorError("unknown", "spawn runc: ENOENT");
  };
  assert.equal((await failure(runtime.start("c1"))).message, "OCI runtime start failed: spawn runc: ENOENT");
  clean(system);
});

test("Runtime: without a bundle there is no log file and no working directory; the cause comes from standard error", async () => {
  const system = new FakeSystem();
  system.runtime = (call) => {
    call.write(2, '{"level":"error","msg":"no such luck"}\n');
    call.end(1);
  };
  const config = runtimeConfig(defaultOptions, { namespace: "ns", bundle: "", environ });
  const runtime = new Runtime(system.sys, system.reaper, system.log, config);
  assert.equal((await failure(runtime.version())).message, "OCI runtime version failed: no such luck");
  assert.equal(system.calls[0]?.request.cwd, undefined);
  assert.equal(system.calls[0]?.request.argv.includes("--log"), false);
  assert.equal(system.files.size, 0);
});
