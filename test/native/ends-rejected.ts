// expect-exit: 1
// expect-stderr: moor: uncaught: Error: the main module fails
// A main module that throws is reported to stderr when nobody else was named, and is the process's exit status.

import sys from "sys";

await new Promise<void>((resolve) => {
  sys.timerStart(1, resolve);
});
throw new Error("the main module fails");
