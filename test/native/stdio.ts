// The streams of a process on the real kernel, with this test as the process and as its client.

import sys from "sys";
import { openStdio, type Stdio, type StdioSetup } from "../../src/io/stdio.ts";
import { EAGAIN, EPIPE, errnoName, isErrno } from "../../src/sys/errno.ts";
import { O_NONBLOCK, O_RDONLY, O_WRONLY } from "../../src/sys/flags.ts";
import type { Log } from "../../src/sys/log.ts";
import type { Fd } from "../../src/sys/sys.d.ts";
import { after, check, equal, fails, finish, good, makeFolder, ok, openFds, removeFolder } from "./checks.ts";

await after(1); // the loop's epoll is made
const fdsBefore = openFds();
const folder = makeFolder();
const path = (name: string): string => `${folder}/${name}`;
for (const name of ["in", "out", "err"]) good(sys.mkfifo(path(name), 0o600), "mkfifo");

const logged: string[] = [];
const log: Log = {
  debug: () => undefined,
  info: (message) => logged.push(message),
  warn: (message) => logged.push(message),
  error: (message) => logged.push(message),
};
const reaper = {
  spawn: () => {
    throw new Error("nothing is started here");
  },
};

function open(streams: Partial<StdioSetup>): Promise<Stdio> {
  const none = { stdin: "", stdout: "", stderr: "", terminal: false, ioUid: 0, ioGid: 0, environ: [] };
  const ids = { containerId: "c", execId: "", namespace: "n", bundle: folder };
  return openStdio({ sys, reaper, log }, { ...ids, ...none, ...streams });
}

/** Copies of the process's 0, 1 and 2, as the process has them. */
function childEnds(stdio: Stdio): readonly Fd[] {
  const fds: Fd[] = [];
  for (const { target, source } of stdio.childFds) {
    fds[target] = good(sys.dup(source), "dup");
    good(sys.setNonblock(fds[target], true), "setNonblock");
  }
  return fds;
}

/** Whatever is there, to the end or until there is no more now. */
function take(fd: Fd): string {
  const buffer = new Uint8Array(65_536);
  let text = "";
  for (;;) {
    const got = sys.read(fd, buffer, 0, buffer.length);
    if (got === EAGAIN) return text;
    if (isErrno(got)) return `${text} ${errnoName(got)}`;
    if (got === 0) return `${text}<end>`;
    text += sys.decodeUtf8(buffer.subarray(0, got));
  }
}

function say(fd: Fd, text: string): number {
  const bytes = sys.encodeUtf8(text);
  return good(sys.write(fd, bytes, 0, bytes.length), "write");
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await after(1);
}

await check(
  "output: nobody has it open; the exit is drained at once, and a reader who comes late finds all of it",
  async () => {
    const stdio = await open({ stdout: path("out"), stderr: `fifo://${path("err")}` });
    const [, out, err] = childEnds(stdio) as [Fd, Fd, Fd];
    await stdio.attach();
    equal(say(out, "x".repeat(60_000)), 60_000);
    say(err, "error");
    good(sys.close(out), "close");
    good(sys.close(err), "close");
    const before = sys.monotonicMs();
    await stdio.drained(20_000);
    ok(sys.monotonicMs() - before < 5_000, "drained at once");
    await until(() => stdio.state().every(({ state }) => state === "ended"));
    const late = good(sys.open(path("out"), O_RDONLY | O_NONBLOCK, 0), "open");
    ok(take(late) === `${"x".repeat(60_000)}<end>`, "all of it");
    good(sys.close(late), "close");
    const other = good(sys.open(path("err"), O_RDONLY | O_NONBLOCK, 0), "open");
    equal(take(other), "error<end>");
    good(sys.close(other), "close");
    stdio.release();
    await stdio.ended;
    equal(openFds(), fdsBefore, "open fds");
  },
);

await check(
  "output: more than the pipes hold: drained says so at once, and after the release a reader gets the rest",
  async () => {
    const stdio = await open({ stdout: path("out") });
    const [, out] = childEnds(stdio) as [Fd, Fd];
    await stdio.attach();
    let written = 0;
    // Until both pipes are full, however big they have become.
    for (let more = 1; more > 0; ) {
      await stdio.drained(20_000);
      const bytes = sys.write(out, new Uint8Array(65_536), 0, 65_536);
      more = isErrno(bytes) ? 0 : bytes;
      written += more;
    }
    good(sys.close(out), "close");
    await stdio.drained(20_000);
    equal(stdio.state()[0]?.waitsFor, "target");
    const reader = good(sys.open(path("out"), O_RDONLY | O_NONBLOCK, 0), "open");
    stdio.release();
    let got = 0;
    for (let last = ""; !last.endsWith("<end>"); await after(0)) {
      last = take(reader);
      got += last.replace("<end>", "").length;
    }
    equal(got, written);
    await stdio.ended;
    good(sys.close(reader), "close");
    equal(openFds(), fdsBefore, "open fds");
  },
);

await check("output: released without a reader, what no one can get any more holds nothing up", async () => {
  const stdio = await open({ stdout: path("out") });
  const [, out] = childEnds(stdio) as [Fd, Fd];
  await stdio.attach();
  for (let bytes = 1; bytes > 0; await stdio.drained(20_000)) {
    const wrote = sys.write(out, new Uint8Array(65_536), 0, 65_536);
    bytes = isErrno(wrote) ? 0 : wrote;
  }
  stdio.release();
  await stdio.ended;
  fails(sys.write(out, new Uint8Array(1), 0, 1), EPIPE, "a grandchild's write");
  good(sys.close(out), "close");
  equal(openFds(), fdsBefore, "open fds");
});

await check("stdin: clients come and go, and closeStdin passes on what is there before the end", async () => {
  const stdio = await open({ stdin: path("in") });
  const [stdin] = childEnds(stdio) as [Fd];
  const client = (text: string): Fd => {
    const fd = good(sys.open(path("in"), O_WRONLY | O_NONBLOCK, 0), "open");
    say(fd, text);
    return fd;
  };
  good(sys.close(client("early ")), "close");
  await stdio.attach();
  let text = "";
  await until(() => (text += take(stdin)) === "early ");
  good(sys.close(client("second ")), "close");
  await until(() => (text += take(stdin)) === "early second ");
  const last = client("third");
  stdio.closeStdin();
  await until(() => (text += take(stdin)) === "early second third");
  good(sys.close(last), "close");
  await until(() => (text += take(stdin)).includes("<end>"));
  equal(text, "early second third<end>");
  good(sys.close(stdin), "close");
  stdio.release();
  await stdio.ended;
  equal(openFds(), fdsBefore, "open fds");
});

await check("file://: made with its folder, both outputs in one file, appended to", async () => {
  const uri = `file://${path("deep/er/log")}`;
  for (const round of [1, 2]) {
    const stdio = await open({ stdout: uri, stderr: uri });
    const [, out, err] = childEnds(stdio) as [Fd, Fd, Fd];
    await stdio.attach();
    say(out, `out ${round}\n`);
    await stdio.drained(20_000);
    say(err, `err ${round}\n`);
    good(sys.close(out), "close");
    good(sys.close(err), "close");
    await stdio.drained(20_000);
    stdio.release();
    await stdio.ended;
  }
  equal(sys.readText(path("deep/er/log"), 4096), "out 1\nerr 1\nout 2\nerr 2\n");
  equal(openFds(), fdsBefore, "open fds");
});

await check("a target that takes no more: the process goes on, and its output is dropped", async () => {
  const stdio = await open({ stdout: "/dev/full" });
  const [, out] = childEnds(stdio) as [Fd, Fd];
  await stdio.attach();
  say(out, "lost");
  await until(() => stdio.state()[0]?.state === "dropping");
  say(out, "lost too");
  await stdio.drained(20_000);
  good(sys.close(out), "close");
  stdio.release();
  await stdio.ended;
  equal(logged, ["a stream has failed", "the rest of a stream is dropped"]);
  equal(openFds(), fdsBefore, "open fds");
});

removeFolder(folder);
finish();
