// Signals as events of the loop. In a file of its own, as a process that waits for signals does not end by itself.

import sys from "sys";
import { EEXIST } from "../../src/sys/errno.ts";
import { SIGHUP, SIGUSR1 } from "../../src/sys/flags.ts";
import { after, check, equal, fails, finish, good, typeError } from "./checks.ts";

await check("wrong types are TypeErrors, and block nothing", () => {
  typeError(() => sys.signalStart(1 as never, () => {}), "a number for signals");
  typeError(() => sys.signalStart([1000], () => {}), "no such signal");
  typeError(() => sys.signalStart(["1" as never], () => {}), "a string for a signal");
  typeError(() => sys.signalStart([SIGHUP], undefined as never), "no function");
});

await check("signalStart: each signal with its sender; once", async () => {
  const pid = Number(good(sys.readlink("/proc/self"), "readlink"));
  const seen: [number, number][] = [];
  good(
    sys.signalStart([SIGUSR1, SIGHUP], (signal, sender) => seen.push([signal, sender])),
    "signalStart",
  );
  fails(
    sys.signalStart([SIGHUP], () => {}),
    EEXIST,
    "signalStart again",
  );
  good(sys.kill(pid, SIGUSR1), "kill");
  good(sys.kill(pid, SIGHUP), "kill");
  equal(seen, [], "not from within the call");
  await after(5);
  equal(seen, [
    [SIGHUP, pid],
    [SIGUSR1, pid],
  ]);
});

finish();
sys.exit(0);
