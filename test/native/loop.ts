// Timers, polls, and the order of callbacks and promise jobs.

import sys from "sys";
import { EBADF, EEXIST, ENOENT, EPERM } from "../../src/sys/errno.ts";
import { O_CREAT, O_NONBLOCK, O_RDWR, POLLERR, POLLHUP, POLLIN, POLLOUT } from "../../src/sys/flags.ts";
import type { Fd, TimerId } from "../../src/sys/sys.d.ts";
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

const one = new Uint8Array(1);
const fdsBefore = openFds();

await check("sleepMs blocks for that long", () => {
  const start = sys.monotonicMs();
  sys.sleepMs(12.5);
  ok(sys.monotonicMs() - start >= 12.5, "slept");
  sys.sleepMs(0);
  sys.sleepMs(-1);
});

await check("timers fire in order of time, then of start, never early", async () => {
  const fired: string[] = [];
  const start = sys.monotonicMs();
  let thirtyAt = 0;
  sys.timerStart(30, () => {
    thirtyAt = sys.monotonicMs();
    fired.push("30");
  });
  sys.timerStart(10, () => fired.push("10"));
  for (let i = 0; i < 100; i++) sys.timerStart(0, () => fired.push(`0.${i}`));
  sys.timerStart(-5, () => fired.push("-5"));
  await after(40);
  const zeros = Array.from({ length: 100 }, (_, i) => `0.${i}`);
  equal(fired, [...zeros, "-5", "10", "30"]);
  ok(thirtyAt - start >= 30, "not early");
});

await check("timerStart of 0 fires in the next turn, and starves no other timer", async () => {
  const order: string[] = [];
  let again = 0;
  await new Promise<void>((resolve) => {
    const repeat = () => {
      order.push("0");
      if (++again < 50) sys.timerStart(0, repeat);
    };
    sys.timerStart(0, repeat);
    sys.timerStart(0, () => order.push("other"));
    sys.timerStart(20, resolve);
    order.push("sync");
  });
  equal(order.slice(0, 4), ["sync", "0", "other", "0"]);
});

await check("timerStop: before it fires, within the turn, twice, an unknown id", async () => {
  const fired: string[] = [];
  const stopped = sys.timerStart(5, () => fired.push("stopped"));
  sys.timerStop(stopped);
  sys.timerStop(stopped);
  sys.timerStop(123456789 as TimerId);
  let second = 0 as TimerId;
  sys.timerStart(1, () => sys.timerStop(second));
  second = sys.timerStart(1, () => fired.push("second"));
  sys.timerStart(8, () => fired.push("last"));
  await after(15);
  equal(fired, ["last"]);
});

await check("many timers, stopped in any order", async () => {
  const fired: number[] = [];
  let early = 0;
  const ids = Array.from({ length: 1000 }, (_, i) => {
    const dueAt = sys.monotonicMs() + ((i * 7919) % 20);
    return sys.timerStart((i * 7919) % 20, () => {
      if (sys.monotonicMs() < dueAt) early++;
      fired.push(i);
    });
  });
  for (let i = 0; i < 1000; i += 3) sys.timerStop(ids[i] as TimerId);
  await after(30);
  const wanted = Array.from({ length: 1000 }, (_, i) => i).filter((i) => i % 3 !== 0);
  equal(
    [...fired].sort((a, b) => a - b),
    wanted,
  );
  equal(early, 0);
  // Those with the same delay were started one after the other.
  for (let delay = 0; delay < 20; delay++) {
    const same = fired.filter((i) => (i * 7919) % 20 === delay);
    equal(
      same,
      [...same].sort((a, b) => a - b),
    );
  }
});

await check("promise jobs are drained after each callback", async () => {
  const order: string[] = [];
  sys.timerStart(1, () => {
    order.push("a");
    void Promise.resolve()
      .then(() => order.push("a1"))
      .then(() => order.push("a2"));
  });
  sys.timerStart(1, () => order.push("b"));
  await after(5);
  equal(order, ["a", "a1", "a2", "b"]);
});

await check("pollStart: readable, level-triggered, stopped from its own callback", async () => {
  const [readFd, writeFd] = good(sys.pipe(O_NONBLOCK), "pipe");
  const seen: number[] = [];
  await new Promise<void>((resolve) => {
    good(
      sys.pollStart(readFd, POLLIN, (events) => {
        seen.push(events);
        if (seen.length < 3) return;
        good(sys.pollStop(readFd), "pollStop");
        resolve();
      }),
      "pollStart",
    );
    sys.write(writeFd, one, 0, 1);
    equal(seen, [], "no callback from within the call");
  });
  equal(seen, [POLLIN, POLLIN, POLLIN]);
  fails(sys.pollStop(readFd), ENOENT, "pollStop again");
  fails(sys.pollChange(readFd, POLLIN), ENOENT, "pollChange after the stop");
  good(sys.close(readFd), "close");
  good(sys.close(writeFd), "close");
});

await check("pollStart: hang-up and error are reported unasked; pollChange to 0 silences", async () => {
  const [readFd, writeFd] = good(sys.pipe(O_NONBLOCK), "pipe");
  const seen: number[] = [];
  good(
    sys.pollStart(readFd, 0, (events) => seen.push(events)),
    "pollStart with nothing wanted",
  );
  good(sys.close(writeFd), "close");
  await after(5);
  equal(seen, [], "parked");
  await new Promise<void>((resolve) => {
    good(
      sys.pollStop(readFd) === 0
        ? sys.pollStart(readFd, POLLIN, (events) => {
            seen.push(events);
            good(sys.pollChange(readFd, 0), "pollChange");
            sys.timerStart(5, resolve);
          })
        : EBADF,
      "pollStart anew",
    );
  });
  equal(seen, [POLLHUP]);
  good(sys.pollStop(readFd), "pollStop");
  good(sys.close(readFd), "close");
  const [otherRead, otherWrite] = good(sys.pipe(O_NONBLOCK), "pipe");
  good(sys.close(otherRead), "close");
  const events = await new Promise<number>((resolve) => {
    good(
      sys.pollStart(otherWrite, POLLERR, (got) => {
        good(sys.pollStop(otherWrite), "pollStop");
        resolve(got);
      }),
      "pollStart",
    );
  });
  equal(events, POLLERR);
  good(sys.close(otherWrite), "close");
});

await check("pollChange: from reading to writing", async () => {
  const [readFd, writeFd] = good(sys.pipe(O_NONBLOCK), "pipe");
  const events = await new Promise<number>((resolve) => {
    good(sys.pollStart(writeFd, 0, resolve), "pollStart");
    good(sys.pollChange(writeFd, POLLOUT), "pollChange");
  });
  equal(events, POLLOUT);
  good(sys.pollStop(writeFd), "pollStop");
  good(sys.close(readFd), "close");
  good(sys.close(writeFd), "close");
});

await check("a fd that is stopped, closed and opened anew within a turn gets no stale event", async () => {
  const pipes = [good(sys.pipe(O_NONBLOCK), "pipe"), good(sys.pipe(O_NONBLOCK), "pipe")] as const;
  const seen: string[] = [];
  for (const [readFd, writeFd] of pipes) {
    sys.write(writeFd, one, 0, 1);
    good(
      sys.pollStart(readFd, POLLIN, () => {
        seen.push("first");
        for (const [each] of pipes) {
          good(sys.pollStop(each), "pollStop");
          good(sys.close(each), "close");
        }
        for (const [, each] of pipes) good(sys.close(each), "close");
        // The lowest free numbers are taken again: both old read ends are among these.
        const fresh = [good(sys.eventfd(), "eventfd"), good(sys.eventfd(), "eventfd"), good(sys.eventfd(), "eventfd")];
        for (const fd of fresh)
          good(
            sys.pollStart(fd, POLLIN, () => seen.push("stale")),
            "pollStart",
          );
        sys.timerStart(5, () => {
          for (const fd of fresh) {
            good(sys.pollStop(fd), "pollStop");
            good(sys.close(fd), "close");
          }
        });
      }),
      "pollStart",
    );
  }
  await after(15);
  equal(seen, ["first"]);
});

await check("pollStart: one per fd, EPERM for a regular file, EBADF for a closed fd", () => {
  const fd = good(sys.eventfd(), "eventfd");
  good(
    sys.pollStart(fd, POLLIN, () => {}),
    "pollStart",
  );
  fails(
    sys.pollStart(fd, POLLIN, () => {}),
    EEXIST,
    "again",
  );
  good(sys.pollStop(fd), "pollStop");
  good(sys.close(fd), "close");
  fails(
    sys.pollStart(900 as Fd, POLLIN, () => {}),
    EBADF,
    "a closed fd",
  );
  fails(
    sys.pollStart(-1 as Fd, POLLIN, () => {}),
    EBADF,
    "-1",
  );
  const folder = makeFolder();
  const file = good(sys.open(`${folder}/f`, O_CREAT | O_RDWR, 0o600), "open");
  fails(
    sys.pollStart(file, POLLIN, () => {}),
    EPERM,
    "a regular file",
  );
  good(sys.close(file), "close");
  removeFolder(folder);
});

await check("a callback that throws goes to onUncaught and ends nothing", async () => {
  const told: string[] = [];
  sys.onUncaught((text) => told.push(text));
  sys.timerStart(0, () => {
    throw new RangeError("from a timer", { cause: new Error("the cause") });
  });
  sys.timerStart(0, () => {
    throw "just text";
  });
  sys.timerStart(0, () => {
    void Promise.reject(new TypeError("nobody listens"));
    const handledLater = Promise.reject(new Error("handled"));
    void Promise.resolve().then(() => handledLater.catch(() => {}));
  });
  await after(5);
  equal(told.length, 3);
  ok(told[0]?.startsWith("RangeError: from a timer\n    at ") === true, `frames: ${told[0]}`);
  ok(told[0]?.includes("\ncaused by: Error: the cause\n    at ") === true, `cause: ${told[0]}`);
  equal(told[1], "just text");
  ok(told[2]?.startsWith("TypeError: nobody listens\n") === true, `rejection: ${told[2]}`);
  sys.onUncaught((text) => {
    throw new Error(text);
  });
});

await check("awaited rejections that are caught are not reported", async () => {
  const told: string[] = [];
  sys.onUncaught((text) => told.push(text));
  const failing = async () => {
    await after(1);
    throw new Error("caught");
  };
  const results = await Promise.allSettled([failing(), failing(), Promise.all([failing(), after(1)])]);
  equal(
    results.map((result) => result.status),
    ["rejected", "rejected", "rejected"],
  );
  equal(told, []);
});

await check("wrong types are TypeErrors", () => {
  typeError(() => sys.timerStart("1" as never, () => {}), "a string for a delay");
  typeError(() => sys.timerStart(Number.POSITIVE_INFINITY, () => {}), "infinity");
  typeError(() => sys.timerStart(1, undefined as never), "no function");
  typeError(() => sys.pollStart(0 as Fd, POLLIN, {} as never), "an object for a function");
  typeError(() => sys.onUncaught(1 as never), "a number for a function");
});

// The epoll is the loop's own.
await check("nothing else is left open", () => equal(openFds(), fdsBefore + 1, "open fds"));

finish();
