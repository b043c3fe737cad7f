// expect-exit: 70
// expect-stderr: moor: out of memory
// A heap that is full ends the process with a report, whatever catch clauses there are.

import sys from "sys";

const kept: unknown[] = [];
async function fill(): Promise<void> {
  for (;;) {
    try {
      await undefined;
      kept.push({ number: kept.length });
    } catch {
      sys.exit(1);
    }
  }
}
await fill();
