import assert from "node:assert/strict";
import { test } from "node:test";
import { statusOfStartFailure } from "./cli-error.ts";

test("statusOfStartFailure: what runc and crun say of a program that cannot be run", () => {
  const said: readonly (readonly [number, string])[] = [
    [127, 'exec: "nope": executable file not found in $PATH'],
    [127, 'exec: "/nope": stat /nope: no such file or directory'],
    [126, 'exec: "/etc/passwd": permission denied'],
    [127, "executable file `nope` not found in $PATH: No such file or directory"],
    [127, "executable file `/nope` not found: No such file or directory"],
    [126, "open executable: Permission denied"],
    [126, "the path `/etc/passwd` exists but it is not executable: Operation not permitted"],
    [125, "cgroups in hybrid mode not supported"],
    // A file that the runtime itself misses.
    [125, "open `/run/crun/c1/status`: No such file or directory"],
  ];
  for (const [status, message] of said) assert.equal(statusOfStartFailure(`OCI runtime: ${message}`), status, message);
});
