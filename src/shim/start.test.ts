import assert from "node:assert/strict";
import { test } from "node:test";
import { ECONNREFUSED, ENOENT } from "../sys/errno.ts";
import type { MoorError } from "../sys/error.ts";
import type { Fd, Pid, Sys } from "../sys/sys.d.ts";
import { parseArguments } from "./arguments.ts";
import { checkKernel, passedSockets, start, variable } from "./start.ts";

const args = parseArguments(["-namespace", "ns", "-id", "c1", "-address", "/run/d.sock", "start"]);
const sha = /^unix:\/\/\/run\/containerd\/s\/[0-9a-f]{64}$/;

/** As much of a kernel as the starting process sees; its child is the text that comes through the pipe. */
function machine(
  options: { spec?: string; joined?: readonly number[]; environ?: string[]; childSays?: string; release?: string } = {},
) {
  const files = new Map<string, string>([["/b/config.json", options.spec ?? '{"process":{}}']]);
  const sockets = new Set<string>();
  const did: string[] = [];
  const codes = [...(options.joined ?? [])];
  const sys = {
    environ: options.environ ?? [],
    args: [],
    kernelRelease: () => options.release ?? "6.1.0-18-amd64",
    isTty: () => true,
    getcwd: () => "/b",
    readText: (path: string) => files.get(path) ?? ENOENT,
    encodeUtf8: (text: string) => new TextEncoder().encode(text),
    decodeUtf8: (bytes: Uint8Array) => new TextDecoder().decode(bytes),
    mkdir: () => 0,
    open: () => 9 as Fd,
    close: () => 0,
    monotonicMs: () => 0,
    flock: (_fd: Fd, how: string) => {
      did.push(how);
      return 0;
    },
    write: (_fd: Fd, _from: Uint8Array, _offset: number, length: number) => length,
    unixConnect: () => (options.joined ? (8 as Fd) : ECONNREFUSED),
    unixBind: (path: string) => {
      did.push("bind");
      sockets.add(path);
      return 7 as Fd;
    },
    unlink: (path: string) => (sockets.delete(path) || files.delete(path) ? 0 : ENOENT),
    writeText: (path: string, text: string) => {
      files.set(path, text);
      return 0;
    },
    rename: (from: string, to: string) => {
      files.set(to, files.get(from) ?? "");
      files.delete(from);
      return 0;
    },
    pipe: () => [5, 6] as unknown as readonly [Fd, Fd],
    fork: () => {
      did.push("fork");
      return 77 as Pid;
    },
    read: (fd: Fd, into: Uint8Array) => {
      // A shim that is there answers on stream 1, with no status or one with a code.
      if (fd === 8) {
        const code = codes.shift() ?? 0;
        const status = code === 0 ? [] : [10, 2, 8, code];
        into.set([0, 0, 0, status.length, 0, 0, 0, 1, 2, 0, ...status]);
        return 10 + status.length;
      }
      const bytes = new TextEncoder().encode(options.childSays ?? "ready");
      into.set(bytes);
      return bytes.length;
    },
  } as unknown as Sys;
  return { sys, files, sockets, did };
}

test("start: binds, forks, and answers with the address once the child is ready", async () => {
  const { sys, files, sockets, did } = machine();
  const address = new TextDecoder().decode(await start(sys, args));
  assert.match(address, sha);
  assert.equal(files.get("/b/address"), address);
  assert.deepEqual([...sockets], [address.slice("unix://".length)]);
  assert.deepEqual(did, ["exclusive", "bind", "fork"]);
});

test("start: a group that is served gets the same address, and no process", async () => {
  const spec = '{"process":{},"annotations":{"io.kubernetes.cri.sandbox-id":"pod"}}';
  const { sys, files, did } = machine({ spec, joined: [0] });
  const address = new TextDecoder().decode(await start(sys, args));
  const other = machine({ spec });
  const otherArgs = parseArguments(["-namespace", "ns", "-id", "c2", "-address", "/run/d.sock", "start"]);
  assert.equal(new TextDecoder().decode(await start(other.sys, otherArgs)), address);
  assert.equal(files.get("/b/address"), address);
  assert.deepEqual(did, [], "it waits for no lock");
});

test("start: of a shim that speaks only version 3 the answer says so, to a daemon that may understand it", async () => {
  const spec = '{"process":{}}';
  const { sys, files } = machine({ spec, joined: [12, 12], environ: ["MAX_SHIM_VERSION=2"] });
  const answer = JSON.parse(new TextDecoder().decode(await start(sys, args))) as { address: string };
  assert.deepEqual(answer, { version: 3, address: files.get("/b/address"), protocol: "ttrpc" });
  const old = machine({ spec, joined: [12, 12] });
  await assert.rejects(start(old.sys, args), /version 3 of the task API.*daemon only version 2/);
});

test("start: the child's failure is its own, in the child's words, and no socket is left", async () => {
  for (const [childSays, text] of [
    ["failed join the cgroup: EBUSY", /^join the cgroup: EBUSY$/],
    ["", /ended before it was ready/],
  ] as const) {
    const { sys, sockets } = machine({ childSays });
    await assert.rejects(start(sys, args), (thrown) => text.test((thrown as Error).message));
    assert.equal(sockets.size, 0);
  }
});

test("start: refuses an old kernel, names that are none, and a bundle without a spec, before it does anything", async () => {
  const bad = (words: string[]) => parseArguments([...words, "start"]);
  const cases: [ReturnType<typeof machine>, ReturnType<typeof bad>, RegExp][] = [
    [machine({ release: "5.4.0" }), args, /Linux 5\.6 or later/],
    [machine(), bad(["-namespace", "ns"]), /container id/],
    [machine(), bad(["-id", "c1"]), /namespace/],
    [machine(), bad(["-namespace", "ns", "-id", "../c1"]), /"\.\.\/c1"/],
    [machine({ spec: "{}" }), args, /config\.json/],
  ];
  for (const [{ sys, did }, given, text] of cases) {
    await assert.rejects(start(sys, given), (thrown) => text.test((thrown as MoorError).message));
    assert.deepEqual(did, []);
  }
});

test("checkKernel: 5.6 and later, by number and not by text; an unreadable release is let through", () => {
  for (const release of ["5.6.0", "5.10.0-28-amd64", "6.1.0", "10.0-rc1", "strange"]) checkKernel(release);
  for (const release of ["5.5.19", "4.19.0-26-amd64", "3.10.0-1160.el7"]) assert.throws(() => checkKernel(release));
});

test("variable, passedSockets: of an environment of NAME=value entries", () => {
  assert.equal(variable(["AB=x", "A=b=c"], "A"), "b=c");
  assert.equal(variable(["AB=x"], "A"), "");
  assert.deepEqual(passedSockets(["MOOR_LISTEN_FDS=2"]), [3, 4]);
  assert.deepEqual(passedSockets(["LISTEN_FDS=2"]), []);
  for (const text of ["x", "-1", "1e3", "99999"]) assert.throws(() => passedSockets([`MOOR_LISTEN_FDS=${text}`]));
});
