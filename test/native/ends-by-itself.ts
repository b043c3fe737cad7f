// expect-exit: 0
// The loop ends, with status 0, when nothing is left to wait for.

import sys from "sys";
import { POLLIN } from "../../src/sys/flags.ts";
import { good, print } from "./checks.ts";

const fd = good(sys.eventfd(), "eventfd");
good(
  sys.pollStart(fd, POLLIN, () => {}),
  "pollStart",
);
sys.timerStart(5, () => {
  print("ok - the timer fired, and the poll is stopped");
  good(sys.pollStop(fd), "pollStop");
  good(sys.close(fd), "close");
});
