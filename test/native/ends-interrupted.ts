// expect-exit: 0
// expect-stderr: InternalError: interrupted
// only: asan
// A turn that never ends is interrupted, past every catch clause, and the process lives on. (The sanitized host is built
// with a second of processor time for a turn; the shim's own ten would be a long wait.)

import sys from "sys";
import { print } from "./checks.ts";

sys.timerStart(0, () => {
  try {
    for (;;);
  } catch {
    print("not ok - the interrupt was caught");
    sys.exit(1);
  }
});
sys.timerStart(1, () => {
  print("ok - alive after the interrupt");
});
