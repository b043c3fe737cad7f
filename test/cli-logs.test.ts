// `moor logs` and `moor log-level`: the shim's own log as it keeps it, followed, at another level while it runs; and that
// it names who has taken hold of a container.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { protoCodec, raw, serverStream } from "ttrpc";
import { connect } from "ttrpc/node";
import { InspectRequest, InspectResponse, KillRequest, LogsRequest, LogsResponse } from "../src/api/control.ts";
import { TestContainer } from "./harness/container.ts";
import { useMoor } from "./harness/moor-command.ts";
import { memoryOf } from "./harness/processes.ts";
import { testsMoor } from "./harness/repository.ts";
import { useScene } from "./harness/scene.ts";

const service = "moor.control.v1.Control";

let bundle = "";
const scene = useScene({
  prepare: async () => {
    bundle = await moor.bundle();
  },
});
const moor = useMoor(scene);

test("moor logs: what the shim has said, at most so much of it, and who asked for a signal, an exec, or attached", async () => {
  const id = await moor.detached(bundle, ["sleep", "1000"], "--no-tty");
  await moor.ok("exec", id, "true");
  const watcher = moor.start(["attach", "--no-stdin", id]);
  const follower = moor.start(["logs", "-f", "--tail", "0", id]);
  const after = moor.start(["logs", "-f", id]);
  await after.untilStdout(/somebody has attached/);
  await moor.ok("kill", id, "USR2");
  await follower.untilStdout(/a signal was asked for/);
  await watcher.kill();
  await follower.untilStdout(/somebody who was attached has left/);
  assert.ok(!follower.stdout.includes("the shim serves"));
  await follower.kill();
  await after.kill();
  const lines = (await moor.ok("logs", id)).trimEnd().split("\n");
  const told = (pattern: RegExp): string => lines.find((line) => pattern.test(line)) ?? "";
  assert.match(lines[0] ?? "", /^time="[^"]+" level=info msg="the shim serves" /);
  assert.match(told(/an exec was asked for/), new RegExp(` exec=moor-[0-9a-f]{12} id=${id} pid=\\d+ .*uid=0$`));
  assert.match(told(/a signal was asked for/), new RegExp(` all=false exec= id=${id} pid=\\d+ signal=12 uid=0$`));
  assert.match(told(/somebody has attached/), new RegExp(` exec= id=${id} pid=${watcher.pid} uid=0$`));
  assert.deepEqual((await moor.ok("logs", "--tail", "2", id)).trimEnd().split("\n"), lines.slice(-2));
  assert.equal(await moor.ok("logs", "--level", "error", id), "");
  await moor.ok("rm", "-f", id);
});

test("moor log-level: a running shim says more, and less again", async () => {
  const id = await moor.detached(bundle, ["sleep", "1000"]);
  await moor.ok("exec", id, "true");
  assert.ok(!(await moor.ok("logs", id)).includes("level=debug"));
  assert.equal(await moor.ok("log-level", id, "debug"), "info -> debug\n");
  await moor.ok("exec", id, "true");
  assert.match(await moor.ok("logs", id), /level=debug msg="runtime call done" .*op=exec/);
  assert.equal(await moor.ok("log-level", id, "warning"), "debug -> warning\n");
  const wrong = await moor.run(["log-level", id, "loud"]);
  assert.match(wrong.stderr, /^moor: set the log level of .*: it is one of debug, info, warning, error\n$/);
  assert.equal(wrong.status, 1);
  await moor.ok("rm", "-f", id);
});

test("moor logs: with a daemon, without it, and what another's shim has not got", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  if (testsMoor) {
    assert.match(await moor.ok("logs", container.id), /the shim serves/);
    await scene.daemon.kill9();
    assert.match(await moor.ok("logs", container.id), /the daemon takes no events now|the shim serves/);
    await scene.daemon.start();
  } else {
    const lacking = await moor.run(["logs", container.id]);
    assert.match(lacking.stderr, /^moor: read the log of the shim of .* is not Moor's and has no control service\n$/);
    assert.equal(lacking.status, 1);
  }
  await container.remove();
});

test("control service: an idle shim does not carry it, and a thousand calls leave nothing behind", async (t) => {
  const id = await moor.detached(bundle, ["sleep", "1000"]);
  const shimPid = (await moor.line(id))?.shimPid ?? 0;
  const before = memoryOf(shimPid).anonymousKb;
  const client = await connect(readFileSync(moor.file(id, "address"), "utf8").replace("unix://", ""));
  const ask = async (times: number): Promise<number> => {
    for (let count = 0; count < times; count++) {
      await client.call(service, "Inspect", protoCodec(InspectRequest), protoCodec(InspectResponse), { id });
      await client.call(service, "Kill", protoCodec(KillRequest), raw, { id, execId: "", signal: 28, all: false });
      const logs = protoCodec(LogsResponse);
      for await (const { lines } of serverStream(client, service, "Logs", protoCodec(LogsRequest), logs, {
        follow: false,
      })) {
        assert.ok(lines.join("").length <= 8192);
      }
    }
    return memoryOf(shimPid).anonymousKb;
  };
  const loaded = await ask(300);
  const after = await ask(1000);
  client.close();
  t.diagnostic(`anonymous memory: ${before} kB idle, ${loaded} kB after 900 calls, ${after} kB after 3900`);
  assert.ok(after - loaded <= 64, `${loaded} kB, then ${after} kB`);
  await moor.ok("rm", "-f", id);
});
