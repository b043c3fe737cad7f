// expect-exit: 0
// expect-stderr: InternalError: interrupted
// only: asan
// An endless chain of promise jobs is interrupted too, and its promise is rejected rather than left pending for ever.

import sys from "sys";
import { print } from "./checks.ts";

async function endless(): Promise<void> {
  for (;;) {
    try {
      await undefined;
    } catch {
      print("not ok - the interrupt was caught");
      sys.exit(1);
    }
  }
}
async function waiting(): Promise<void> {
  await endless();
}
void waiting();
sys.timerStart(1, () => print("ok - alive after the interrupt"));
