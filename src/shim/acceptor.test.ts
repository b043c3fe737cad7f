// The acceptor on a kernel that has no fd left, and no memory for a new watch: clients are heard again afterwards.

import assert from "node:assert/strict";
import { test } from "node:test";
import { EAGAIN, EMFILE, ENOMEM } from "../sys/errno.ts";
import type { Errno, Fd, Sys, TimerId } from "../sys/sys.d.ts";
import { Acceptor } from "./acceptor.ts";

const listenFd = 3 as Fd;

test("Acceptor: rests when no fd is left, says so once, and is not deaf afterwards though no watch can be had", () => {
  const answers: (Fd | Errno)[] = [EMFILE, EMFILE, 7 as Fd, EAGAIN];
  const watched: number[] = [];
  const timers: (() => void)[] = [];
  let ready = (_events: number): void => undefined;
  const sys = {
    pollStart: (_fd: Fd, events: number, fn: (events: number) => void) => {
      if (watched.length > 0) return ENOMEM;
      watched.push(events);
      ready = fn;
      return 0;
    },
    pollChange: (_fd: Fd, events: number) => {
      watched.push(events);
      return 0;
    },
    pollStop: () => watched.push(-1),
    accept: () => answers.shift(),
    timerStart: (_ms: number, fn: () => void) => timers.push(fn) as TimerId,
    timerStop: () => timers.splice(0),
  } as unknown as Sys;
  const said: string[] = [];
  const say = (message: string): void => void said.push(message);
  const taken: Fd[] = [];
  const log = { debug: say, info: say, warn: say, error: say };
  const acceptor = new Acceptor({ sys, log }, listenFd, (fd) => taken.push(fd));
  acceptor.begin();
  for (let round = 0; round < 2; round++) {
    ready(1);
    timers.shift()?.();
  }
  ready(1);
  assert.deepEqual(taken, [7]);
  assert.deepEqual(watched, [1, 0, 1, 0, 1]);
  assert.deepEqual(said, ["connections cannot be taken"]);

  answers.push(EMFILE);
  ready(1);
  acceptor.stop();
  acceptor.stop();
  assert.equal(watched.filter((events) => events === -1).length, 1);
  assert.equal(timers.length, 0, "its timer is left");
});
