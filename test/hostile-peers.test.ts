// Peers that mean no good, or are broken: callers of another user, ones that never read, hold a thousand connections, send
// frames bit by bit. Each costs a bounded amount of memory, and nobody else notices. Figures are printed as diagnostics,
// so that a run against the stock shim shows its own beside them.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { Status } from "../src/api/process.ts";
import { StateRequest } from "../src/api/task.ts";
import { run } from "./harness/command.ts";
import { DirectShim, TASK_V2 } from "./harness/direct-shim.ts";
import { onlyMoor } from "./harness/difference.ts";
import { openFdCount } from "./harness/processes.ts";
import { encodeFrame, encodeRequest, RawClient } from "./harness/raw-ttrpc.ts";
import { useScene } from "./harness/scene.ts";
import { staysPending, until } from "./harness/until.ts";

const scene = useScene({ withoutDaemon: true });
const NOBODY = 65_534;

async function running(): Promise<DirectShim> {
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  await shim.create();
  await shim.call("Start");
  return shim;
}

function stateRequest(id: string): Uint8Array {
  return encodeRequest(TASK_V2, "State", StateRequest.encode({ id, execId: "" }).finish());
}

/** Processor time that the process has used, in ms (proc(5): ticks of 10 ms). */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Connects as another user and asks; what it was told, or that it was hung up on. */
function askAs(uid: number, path: string, request: Uint8Array): Promise<string> {
  const script = `
    const socket = require("node:net").connect(process.argv[1]);
    let bytes = 0;
    socket.on("data", (chunk) => { bytes += chunk.length; socket.destroy(); });
    socket.on("error", (fault) => console.log(fault.code));
    socket.on("close", () => console.log("closed after " + bytes));
    socket.write(Buffer.from(process.argv[2], "hex"));`;
  const frame = encodeFrame({ streamId: 1, type: 1, flags: 0, payload: request });
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["-e", script, path, frame.toString("hex")], {
      uid,
      gid: uid,
      cwd: "/",
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
    child.on("error", reject);
    child.on("close", () => resolve(text));
  });
}

test("hostile peers: a caller of another user is hung up on, even where the socket's file lets it in", async () => {
  const shim = await running();
  const request = stateRequest(shim.id);
  assert.equal(statSync(shim.socketPath).mode & 0o777, 0o600);
  assert.equal(statSync(dirname(shim.socketPath)).mode & 0o077, 0, "its folder is its owner's alone");
  assert.match(await askAs(NOBODY, shim.socketPath, request), /EACCES/, "the folder keeps it out");
  // Another name of the same socket, in a folder that anybody may enter.
  const folder = `/run/moor-open-${scene.tag}`;
  mkdirSync(folder, { mode: 0o755 });
  const open = join(folder, "s");
  linkSync(shim.socketPath, open);
  try {
    assert.match(await askAs(NOBODY, open, request), /EACCES/, "the file keeps it out");
    chmodSync(open, 0o666);
    assert.match(
      await askAs(NOBODY, open, request),
      /^(ECONNRESET\n|EPIPE\n)?closed after 0\n$/,
      "the shim keeps it out",
    );
    assert.match(await askAs(0, open, request), /^closed after [1-9]/, "root is served there");
  } finally {
    rmSync(folder, { recursive: true });
    chmodSync(shim.socketPath, 0o600);
  }
  assert.equal((await shim.call("State")).status, Status.RUNNING);
  await shim.end(scene);
});

test("hostile peers: without fds for more connections the shim rests, serves those it has, and goes on", async (t) => {
  if (onlyMoor(t, "no-fds-no-spin")) return;
  const shim = await running();
  const pid = await shim.shimPid();
  const limit = openFdCount(pid) + 20;
  await run(["prlimit", "--pid", String(pid), `--nofile=${limit}:${limit}`]);
  const clients = await Promise.all(Array.from({ length: 40 }, () => RawClient.connect(shim.socketPath)));
  await shim.bundle.log.untilText(/connections cannot be taken.*EMFILE/);
  const before = cpuMs(pid);
  await staysPending("a look at the shim's rest", 1_000, new Promise(() => undefined));
  const spent = cpuMs(pid) - before;
  assert.ok(spent <= 100, `${spent} ms of processor time in a second of waiting for an fd`);
  t.diagnostic(`${spent} ms of processor time in a second without fds`);
  assert.equal((await shim.call("State")).status, Status.RUNNING);
  const logged = shim.bundle.log.text().match(/connections cannot be taken/g)?.length;
  assert.equal(logged, 1, "the log is told once");
  for (const client of clients) client.close();
  const late = await RawClient.connect(shim.socketPath);
  await late.send(1, stateRequest(shim.id));
  late.close();
  await until("the fds to be given back", 5_000, () => openFdCount(pid) < limit - 15);
  await run(["prlimit", "--pid", String(pid), "--nofile=1024:4096"]);
  await shim.end(scene);
});
