// The pump: every byte once and in order whatever the sizes, readers that are slow, late or gone, targets that are
// files, the answers to pumpDrained, and nothing left open.

import sys from "sys";
import { EAGAIN, EBADF, EINVAL, ENOENT, EPIPE, errnoName, isErrno } from "../../src/sys/errno.ts";
import { O_APPEND, O_CREAT, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY, POLLIN, POLLOUT } from "../../src/sys/flags.ts";
import type { Fd, PumpEnd, PumpId, PumpRequest } from "../../src/sys/sys.d.ts";
import {
  after,
  check,
  equal,
  fails,
  finish,
  good,
  makeFolder,
  ok,
  openFds,
  removeFolder,
  typeError,
} from "./checks.ts";

const O_NOCTTY = 0o400;
const sizes = [0, 1, 4095, 4096, 4097, 65_535, 65_536, 65_537, (1 << 20) + 1];

// ASCII, so that the engine's own string comparison does the checking; no divisor of a page or a pipe in its length.
const unitBytes = 127 * 61;
const endless = sys
  .decodeUtf8(Uint8Array.from({ length: unitBytes }, (_, at) => (at * 7 + (at >> 5)) % 127))
  .repeat(12);
const longest = sys.encodeUtf8(endless.slice(0, unitBytes).repeat(140));
function pattern(size: number): Uint8Array {
  return longest.subarray(0, size);
}

function equalEnd(end: PumpEnd, reason: string, bytes: number): void {
  equal([end.reason, end.errno, Number(end.bytes)], [reason, 0, bytes], "end");
}

/** Starts a pump; the id, and a promise of its end. */
function start(request: PumpRequest): { id: PumpId; ended: Promise<PumpEnd> } {
  let resolve: (end: PumpEnd) => void = () => undefined;
  const ended = new Promise<PumpEnd>((done) => {
    resolve = done;
  });
  return { id: good(sys.pumpStart(request, resolve), "pumpStart"), ended };
}

function drained(id: PumpId): Promise<string> {
  return new Promise((resolve) => {
    good(sys.pumpDrained(id, resolve), "pumpDrained");
  });
}

/** A pipe, a pump, a pipe: what is written to `to` is read from `from`. */
function line(pipeSize?: number): { to: Fd; from: Fd; id: PumpId; ended: Promise<PumpEnd> } {
  const [source, to] = good(sys.pipe(O_NONBLOCK), "pipe");
  const [from, target] = good(sys.pipe(O_NONBLOCK), "pipe");
  const request = { takeSourceFd: source, takeTargetFd: target };
  return { to, from, ...start(pipeSize === undefined ? request : { ...request, pipeSize }) };
}

/** Writes all of it as the pipe takes it, then closes the fd. */
function feed(fd: Fd, bytes: Uint8Array): Promise<void> {
  let done = 0;
  return new Promise((resolve) => {
    const finished = (): void => {
      good(sys.pollStop(fd), "pollStop");
      good(sys.close(fd), "close");
      resolve();
    };
    good(
      sys.pollStart(fd, POLLOUT, () => {
        const wrote = done === bytes.length ? 0 : sys.write(fd, bytes, done, bytes.length - done);
        if (!isErrno(wrote)) done += wrote;
        if (done === bytes.length) finished();
      }),
      "pollStart",
    );
  });
}

/** Takes what is there, checks it against the pattern, and gives the new position; undefined at the end. */
function takeSome(fd: Fd, buffer: Uint8Array, position: number): number | undefined {
  const got = sys.read(fd, buffer, 0, buffer.length);
  if (got === EAGAIN) return position;
  if (good(got, "read") === 0) return undefined;
  const from = position % unitBytes;
  ok(sys.decodeUtf8(buffer.subarray(0, got)) === endless.slice(from, from + got), `bytes from ${position} are wrong`);
  return position + got;
}

/** Reads the pattern to the end of the stream, at most `chunk` bytes a turn; how many there were. Closes the fd. */
function drink(fd: Fd, chunk = 65_536): Promise<number> {
  const buffer = new Uint8Array(chunk);
  let position = 0;
  return new Promise((resolve, reject) => {
    const finished = (settle: () => void): void => {
      good(sys.pollStop(fd), "pollStop");
      good(sys.close(fd), "close");
      settle();
    };
    good(
      sys.pollStart(fd, POLLIN, () => {
        try {
          const next = takeSome(fd, buffer, position);
          if (next === undefined) finished(() => resolve(position));
          else position = next;
        } catch (thrown) {
          finished(() => reject(thrown as Error));
        }
      }),
      "pollStart",
    );
  });
}

function text(fd: Fd): string {
  const buffer = new Uint8Array(65_536);
  const got = sys.read(fd, buffer, 0, buffer.length);
  return isErrno(got) ? errnoName(got) : sys.decodeUtf8(buffer.subarray(0, got));
}

function say(fd: Fd, words: string): void {
  const bytes = sys.encodeUtf8(words);
  equal(sys.write(fd, bytes, 0, bytes.length), bytes.length, "written");
}

/** Turns of the loop until it holds; the native run's own time limit ends what never does. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await after(1);
}

// The loop's epoll is made at first use.
await after(1);
const fdsBefore = openFds();
const folder = makeFolder();

await check("pipe to pipe: exact at every size, and the end counts the bytes", async () => {
  for (const pipeSize of [undefined, 256 * 1024]) {
    for (const size of sizes) {
      const { to, from, ended } = line(pipeSize);
      const [count, end] = await Promise.all([drink(from), ended, feed(to, pattern(size))]);
      equal(count, size);
      equalEnd(end, "eof", size);
    }
  }
  equal(openFds(), fdsBefore, "open fds");
});

await check("pipeSize: asked for when a pipe was full, and not before", async () => {
  const { to, from, id, ended } = line(256 * 1024);
  say(to, "little");
  equal(await drained(id), "empty");
  equal(text(from), "little");
  for (let at = 0; at < 16; at++) {
    equal(sys.write(to, pattern(4096), 0, 4096), 4096);
    equal(await drained(id), "empty");
  }
  say(to, "as the sixteen pages of the first size are taken");
  equal(await drained(id), "empty");
  equal(sys.write(to, longest, 0, longest.length), 256 * 1024);
  good(sys.close(to), "close");
  good(sys.close(from), "close");
  equal((await ended).reason, "closed");
});

await check("a slow reader gets everything", async () => {
  const size = 300_001;
  const { to, from, ended } = line();
  const [count] = await Promise.all([drink(from, 1000), ended, feed(to, pattern(size))]);
  equal(count, size);
});

await check(
  "FIFO: nobody reads, the source ends while the target is full, and a later reader finds the rest",
  async () => {
    const path = `${folder}/fifo`;
    good(sys.mkfifo(path, 0o600), "mkfifo");
    const kept = good(sys.open(path, O_RDONLY | O_NONBLOCK, 0), "open to read");
    const target = good(sys.open(path, O_WRONLY | O_NONBLOCK, 0), "open to write");
    const [source, to] = good(sys.pipe(O_NONBLOCK), "pipe");
    const { id, ended } = start({ takeSourceFd: source, takeTargetFd: target });
    await feed(to, pattern(100_000));
    equal(await drained(id), "full");
    equal(good(sys.pumpState(id), "pumpState").waitsFor, "target");
    const from = good(sys.open(path, O_RDONLY | O_NONBLOCK, 0), "open a second time");
    equal(await drink(from, 7000), 100_000);
    equal((await ended).bytes, 100_000n);
    good(sys.close(kept), "close");
  },
);

await check("the source ends exactly when the target is full: the end is told, and nothing spins", async () => {
  const { to, from, id, ended } = line();
  const page = pattern(4096);
  // Fills the far pipe, and leaves the near one empty: its end is all there is to come.
  for (let at = 0; at < 16; at++) {
    equal(sys.write(to, page, 0, 4096), 4096);
    equal(await drained(id), "empty");
  }
  good(sys.close(to), "close");
  equal((await ended).reason, "eof");
  equal(good(sys.readable(from), "readable"), 65_536);
  good(sys.close(from), "close");
});

await check(
  "a reader that is gone ends the pump at the next byte, and a silent source is not turned over",
  async () => {
    const { to, from, id, ended } = line();
    equal(await drained(id), "empty");
    good(sys.close(from), "close");
    const busyBefore = cpuTicks();
    await after(150);
    ok(cpuTicks() - busyBefore <= 5, "it does not spin");
    equal(good(sys.pumpState(id), "pumpState").waitsFor, "source");
    say(to, "x");
    equalEnd(await ended, "closed", 0);
    fails(sys.write(to, new Uint8Array(1), 0, 1), EPIPE, "a write after that");
    good(sys.close(to), "close");
  },
);

await check("a reader that goes while the target is full ends the pump", async () => {
  const { to, from, id, ended } = line();
  await feed(to, pattern(100_000));
  equal(await drained(id), "full");
  good(sys.close(from), "close");
  equal((await ended).reason, "closed");
});

await check("pipe to file: exact, appended, and the file's errors are told", async () => {
  const path = `${folder}/file`;
  for (const size of sizes) {
    const [source, to] = good(sys.pipe(O_NONBLOCK), "pipe");
    const target = good(sys.open(path, O_WRONLY | O_APPEND | O_CREAT, 0o600), "open");
    const { ended } = start({ takeSourceFd: source, takeTargetFd: target });
    const [end] = await Promise.all([ended, feed(to, pattern(size))]);
    equalEnd(end, "eof", size);
    const file = good(sys.open(path, O_RDWR, 0), "open to check");
    const buffer = new Uint8Array(65_536);
    let position: number | undefined = 0;
    let count = 0;
    while ((position = takeSome(file, buffer, count)) !== undefined) count = position;
    equal(count, size);
    equal(sys.ftruncate(file, 0), 0);
    good(sys.close(file), "close");
  }
  const full = good(sys.open("/dev/full", O_WRONLY, 0), "open /dev/full");
  const [source, to] = good(sys.pipe(O_NONBLOCK), "pipe");
  const { ended } = start({ takeSourceFd: source, takeTargetFd: full });
  say(to, "no room");
  const end = await ended;
  equal(end.reason, "failed");
  equal(errnoName(end.errno), "ENOSPC");
  good(sys.close(to), "close");
});

await check(
  "file to pipe: exact, with a reader that makes the pump hold bytes; drained says full, then ended",
  async () => {
    const path = `${folder}/source`;
    const size = 200_000;
    const bytes = pattern(size);
    const file = good(sys.open(path, O_RDWR | O_CREAT, 0o600), "open");
    equal(sys.write(file, bytes, 0, size), size);
    equal(sys.seek(file, 0), 0);
    const [from, target] = good(sys.pipe(O_NONBLOCK), "pipe");
    const { id, ended } = start({ takeSourceFd: file, takeTargetFd: target });
    equal(await drained(id), "full");
    const state = good(sys.pumpState(id), "pumpState");
    equal(state.bytes, 65_536n);
    ok(state.buffered === 0 || state.buffered === 32_768, `buffered: ${state.buffered}`);
    const order: string[] = [];
    void ended.then(() => order.push("end"));
    good(
      sys.pumpDrained(id, (why) => order.push(why)),
      "pumpDrained",
    );
    await until(() => order.length > 0);
    equal(await drink(from, 5000), size);
    equal((await ended).reason, "eof");
    equal(order, ["full", "end"]);
  },
);

await check(
  "pumpDrained: empty, and after the bytes that were there; replaced by a later one; never from within",
  async () => {
    const { to, from, id, ended } = line();
    const heard: string[] = [];
    say(to, "first");
    good(
      sys.pumpDrained(id, (why) => heard.push(`one ${why}`)),
      "pumpDrained",
    );
    good(
      sys.pumpDrained(id, (why) => heard.push(`two ${why}`)),
      "pumpDrained",
    );
    equal(heard, []);
    await until(() => heard.length > 0);
    equal(heard, ["two empty"]);
    equal(text(from), "first");
    // A source that has ended: the drain is answered first, then the end.
    say(to, "last");
    good(sys.close(to), "close");
    void ended.then((end) => heard.push(end.reason));
    good(
      sys.pumpDrained(id, (why) => {
        heard.push(why);
        fails(
          sys.pumpDrained(id, () => undefined),
          ENOENT,
          "pumpDrained of one that is over",
        );
        fails(sys.pumpStop(id), ENOENT, "pumpStop of one that is over");
      }),
      "pumpDrained",
    );
    await ended;
    equal(heard, ["two empty", "ended", "eof"]);
    equal(text(from), "last");
    good(sys.close(from), "close");
  },
);

await check("pumpDrained: waits for more than one turn's share", async () => {
  const path = `${folder}/big`;
  const size = 4 << 20;
  const file = good(sys.open(path, O_RDWR | O_CREAT, 0o600), "open");
  equal(sys.ftruncate(file, size), 0);
  const target = good(sys.open(`${folder}/copy`, O_WRONLY | O_CREAT, 0o600), "open");
  const { id, ended } = start({ takeSourceFd: file, takeTargetFd: target });
  let others = 0;
  let over = false;
  const tick = (): void => {
    others++;
    if (!over) sys.timerStart(0, tick);
  };
  tick();
  equal(await drained(id), "ended");
  equal((await ended).bytes, BigInt(size));
  over = true;
  ok(others >= 10, `others had ${others} turns`);
});

await check("pumpStop: not from within the call, once; from its own callbacks too", async () => {
  const { to, from, id, ended } = line();
  let end: PumpEnd | undefined;
  void ended.then((value) => {
    end = value;
  });
  say(to, "gone?");
  equal(await drained(id), "empty");
  good(sys.pumpStop(id), "pumpStop");
  equal(end, undefined);
  fails(sys.pumpStop(id), ENOENT, "pumpStop again");
  fails(sys.pumpState(id), ENOENT, "pumpState");
  equal(text(from), "gone?");
  equal(text(from), "", "the target is closed at once");
  fails(sys.write(to, new Uint8Array(1), 0, 1), EPIPE, "the source is closed at once");
  equalEnd(await ended, "closed", 5);
  good(sys.close(to), "close");
  good(sys.close(from), "close");

  const second = line();
  const heard: string[] = [];
  good(
    sys.pumpDrained(second.id, (why) => {
      heard.push(why);
      good(
        sys.pumpDrained(second.id, (last) => heard.push(last)),
        "pumpDrained",
      );
      good(sys.pumpStop(second.id), "pumpStop from a callback");
    }),
    "pumpDrained",
  );
  equal((await second.ended).reason, "closed");
  equal(heard, ["empty", "ended"]);
  good(sys.close(second.to), "close");
  good(sys.close(second.from), "close");
});

await check("a terminal: both directions on one master, each with its own fd", async () => {
  const master = sys.open("/dev/ptmx", O_RDWR | O_NOCTTY, 0);
  if (isErrno(master)) return; // no devpts here
  const output = good(sys.dup(master), "dup");
  const [source, to] = good(sys.pipe(O_NONBLOCK), "pipe");
  const [from, target] = good(sys.pipe(O_NONBLOCK), "pipe");
  const input = start({ takeSourceFd: source, takeTargetFd: master });
  const out = start({ takeSourceFd: output, takeTargetFd: target });
  // The terminal itself echoes what is typed.
  let seen = "";
  let wanted = "";
  for (let round = 0; round < 50; round++) {
    say(to, `line ${round}\n`);
    wanted += `line ${round}\r\n`;
    await until(() => {
      const more = text(from);
      if (more !== "EAGAIN") seen += more;
      return seen.length >= wanted.length;
    });
  }
  equal(seen, wanted);
  equal(await drained(out.id), "empty");
  good(sys.close(to), "close");
  equal((await input.ended).reason, "eof");
  good(sys.pumpStop(out.id), "pumpStop");
  equal((await out.ended).bytes, BigInt(wanted.length));
  good(sys.close(from), "close");
});

await check("a hundred pumps at once", async () => {
  const size = 65_537;
  const lines = Array.from({ length: 100 }, () => line());
  const counts = await Promise.all(lines.map(({ from }) => drink(from)).concat(lines.map(({ to }) => feedOne(to))));
  equal(new Set(counts).size, 1);
  equal(counts[0], size);
  for (const { ended } of lines) equal((await ended).bytes, BigInt(size));

  async function feedOne(to: Fd): Promise<number> {
    await feed(to, pattern(size));
    return size;
  }
});

await check("what cannot be pumped is an errno, and both fds are closed", () => {
  const [source, to] = good(sys.pipe(O_NONBLOCK), "pipe");
  const never = (): void => {
    throw new Error("called");
  };
  fails(sys.pumpStart({ takeSourceFd: source, takeTargetFd: source }, never), EINVAL, "one fd for both");
  fails(sys.close(source), EBADF, "close of what was handed over");
  fails(sys.pumpStart({ takeSourceFd: to, takeTargetFd: 999 as Fd }, never), EBADF, "a closed target");
  fails(sys.close(to), EBADF, "close of what was handed over");
  typeError(() => sys.pumpStart(undefined as never, never), "no request");
  const [one, two] = good(sys.pipe(0), "pipe");
  typeError(() => sys.pumpStart({ takeSourceFd: one } as never, never), "no target");
  const three = good(sys.eventfd(), "eventfd");
  typeError(() => sys.pumpStart({ takeSourceFd: two, takeTargetFd: three }, 1 as never), "no function");
  for (const fd of [one, two, three]) fails(sys.close(fd), EBADF, "close of what was handed over");
  fails(sys.pumpStop(123 as PumpId), ENOENT, "an unknown pump");
  typeError(() => sys.pumpState("1" as never), "a string for an id");
});

function cpuTicks(): number {
  const fields = good(sys.readText("/proc/self/stat", 4096), "stat").split(") ")[1]?.split(" ") ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

removeFolder(folder);
await check("nothing is left open", () => equal(openFds(), fdsBefore, "open fds"));

finish();
