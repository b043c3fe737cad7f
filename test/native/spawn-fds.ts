// The fd table of a spawned program in every order of sources over targets; a spawn that finds no free fd; and that ours,
// table and signals, are the same after it. (Other facts of spawn are in spawn.ts.)

import sys from "sys";
import { EAGAIN, EMFILE, ENOENT } from "../../src/sys/errno.ts";
import { O_CREAT } from "../../src/sys/flags.ts";
import type { Fd, FdMapping } from "../../src/sys/sys.d.ts";
import {
  check,
  children,
  equal,
  fails,
  finish,
  good,
  makeFolder,
  ok,
  openFds,
  outputOf,
  readAll,
  reaped,
  removeFolder,
  typeError,
} from "./checks.ts";

const path = "PATH=/usr/bin:/bin";
const waits = 62;
const inOpen = 0x20;

function request(argv: readonly string[], fds: readonly FdMapping[] = []) {
  return { file: argv[0] ?? "", argv, env: [path], fds };
}

/** The fds and what they are, of a child that is sure to be past exec and its libraries. */
async function tableOf(fds: readonly FdMapping[]): Promise<readonly string[]> {
  const [sync, childSync] = good(sys.pipe(0), "pipe");
  const [childWait, wait] = good(sys.pipe(0), "pipe");
  // Its own fds are above those under test. When it has closed the first it is past all else, and waits at the second,
  // by bash's read -u, which moves no fd meanwhile.
  const own = [
    { target: waits - 1, source: childSync },
    { target: waits, source: childWait },
  ];
  const child = good(
    sys.spawn(request(["bash", "-c", "exec 61>&-; read -r -u 62; exit 0"], [...fds, ...own])),
    "spawn",
  );
  good(sys.close(childSync), "close");
  good(sys.close(childWait), "close");
  equal(readAll(sync), "");
  const folder = `/proc/${child.pid}/fd`;
  const numbers = good(sys.readdir(folder), folder)
    .map(([name]) => Number(name))
    .filter((fd) => fd !== waits)
    .sort((a, b) => a - b);
  const table = numbers.map((fd) => `${fd} ${good(sys.readlink(`${folder}/${fd}`), "readlink")}`);
  good(sys.close(wait), "close");
  equal((await reaped(child)).status, 0);
  return table;
}

function orders(items: readonly number[]): number[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item) => orders(items.filter((each) => each !== item)).map((rest) => [item, ...rest]));
}

/** Runs body while 0 and 1 are other files. */
async function withOwnStandardFds(body: () => Promise<void>): Promise<void> {
  const saved = [0, 1].map((fd) => good(sys.dup(fd as Fd), "dup"));
  try {
    await body();
  } finally {
    for (const [fd, copy] of saved.entries()) {
      good(sys.dup2(copy, fd), "dup2");
      good(sys.close(copy), "close");
    }
  }
}

const ownSignals = () => good(sys.readText("/proc/self/status", 8192), "status").match(/^Sig(?:Blk|Ign|Cgt):.*$/gm);
const signalsBefore = ownSignals(); // before the first spawn of all

await outputOf(request(["true"])); // the loop's own fd is there from now on
const fdsBefore = openFds();

await check("every order of four sources over their own four numbers, 0 and 1 included", async () => {
  const numbers = [0, 1, 50, 51];
  await withOwnStandardFds(async () => {
    for (const number of numbers) {
      const fd = good(sys.memfd(`file-of-${number}`), "memfd");
      good(sys.dup2(fd, number), "dup2");
      good(sys.close(fd), "close");
    }
    for (const sources of orders(numbers)) {
      const fds = numbers.map((target, at) => ({ target, source: sources[at] as Fd }));
      const wanted = fds.map(({ target, source }) => `${target} /memfd:file-of-${source} (deleted)`);
      wanted.splice(2, 0, "2 /dev/null");
      equal(await tableOf(fds), wanted, `sources ${sources.join(" ")}`);
    }
    for (const number of [50, 51]) good(sys.close(number as Fd), "close");
  });
});

await check("without a free fd nothing is started", async () => {
  const folder = makeFolder();
  const program = `${folder}/program`;
  good(sys.writeText(program, "#!/bin/sh\n", O_CREAT, 0o700), "writeText");
  const watch = good(sys.inotifyCreate(), "inotifyCreate");
  good(sys.inotifyAdd(watch, program, inOpen), "inotifyAdd");
  const limit = (...more: string[]) => outputOf(request(["prlimit", "--pid", `${sys.getpid()}`, ...more]));
  const before = (await limit("--nofile", "--output=SOFT", "--noheadings")).trim();
  await limit("--nofile=128:");
  const fillers: Fd[] = [];
  for (let fd = sys.eventfd(); fd >= 0; fd = sys.eventfd()) fillers.push(fd as Fd);
  const status = sys.spawn(request([program]));
  for (const fd of fillers) good(sys.close(fd), "close");
  await limit(`--nofile=${before}:`);
  fails(status, EMFILE, "spawn");
  equal([sys.peekAny(), children()], [undefined, []]);
  fails(sys.read(watch, new Uint8Array(64), 0, 64), EAGAIN, "the program was opened: read of the watch");
  equal((await reaped(good(sys.spawn(request([program])), "spawn"))).status, 0);
  ok(good(sys.read(watch, new Uint8Array(64), 0, 64), "read") > 0, "a start is seen by the watch");
  good(sys.close(watch), "close");
  removeFolder(folder);
});

await check("our own signals are after a spawn what they were before it, also when it fails", async () => {
  equal(signalsBefore?.length, 3);
  const child = good(sys.spawn(request(["true"])), "spawn");
  equal(ownSignals(), signalsBefore);
  fails(sys.spawn(request(["/nowhere"])), ENOENT, "spawn");
  equal(ownSignals(), signalsBefore);
  equal((await reaped(child)).status, 0);
});

await check("a table longer than there are targets is a TypeError, and takes no memory", () => {
  const endless = new Array<FdMapping>(2 ** 32 - 1);
  typeError(() => sys.spawn({ ...request(["true"]), fds: endless }), "fds without end");
});

await check("nothing is left: no fd, no child", () => equal([openFds(), children()], [fdsBefore, []]));

finish();
