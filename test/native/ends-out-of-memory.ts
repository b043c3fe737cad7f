// expect-exit: 70
// expect-stderr: moor: out of memory
// A heap that is full ends the process with a report, whatever catch clauses there are.

import sys from "sys";

interface Kept {
  readonly before: Kept | undefined;
  readonly text: string;
}

let last: Kept | undefined;

/** Some small objects a turn, so that no turn is long. */
async function fill(): Promise<void> {
  for (let turn = 0; ; turn++) {
    try {
      await new Promise<void>((resolve) => {
        sys.timerStart(0, resolve);
      });
      for (let i = 0; i < 1000; i++) last = { before: last, text: `${turn} ${i} ${"x".repeat(500)}` };
    } catch {
      sys.exit(1);
    }
  }
}
await fill();
