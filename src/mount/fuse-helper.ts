// Mounts whose file system is a program: mount.fuse and mount.fuse3 start it, by the same command line as containerd
// calls them with. The program itself stays behind as an orphan; that the helper has ended well says it serves.

import type { Reaper } from "../reaper/reaper.ts";
import { withDeadline } from "../reaper/deadline.ts";
import { isErrno } from "../sys/errno.ts";
import { MoorError, must } from "../sys/error.ts";
import { SIGKILL } from "../sys/flags.ts";
import type { Fd, Sys } from "../sys/sys.d.ts";
import type { Mount } from "./mount.ts";

const deadlineMs = 30_000;
const maxOutputBytes = 1024;

/** "mount.fuse3" and "sshfs" for the type fuse3.sshfs; undefined for a file system of the kernel. */
export function fuseHelperOf(type: string): { readonly helper: string; readonly fileSystem: string } | undefined {
  const match = /^(fuse3?)\.(.+)$/.exec(type);
  if (match === null) return undefined;
  return { helper: `mount.${match[1]}`, fileSystem: match[2] ?? "" };
}

/**
 * Runs the helper to its end.
 * @throws MoorError when it cannot be started, fails (with what it said), or does not end in time (it is killed then).
 */
export async function mountByHelper(
  sys: Sys,
  spawner: Pick<Reaper, "spawn">,
  { helper, fileSystem }: { readonly helper: string; readonly fileSystem: string },
  { source, options }: Mount,
  target: string,
): Promise<void> {
  // A file takes what the helper says: nobody has to read while it runs, and the program behind it may keep it open.
  const outputFd = must(sys.memfd(helper), `run ${helper}`);
  try {
    const optionArgs = options.filter((option) => !option.startsWith("X-containerd.")).flatMap((each) => ["-o", each]);
    const helperProcess = spawner.spawn({
      file: helper,
      argv: [helper, source, target, ...optionArgs, "-t", fileSystem],
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      fds: [
        { target: 1, source: outputFd },
        { target: 2, source: outputFd },
      ],
    });
    const exit = await withDeadline(sys, deadlineMs, helper, helperProcess.exited, () => {
      helperProcess.signal(SIGKILL);
    });
    if (exit.status === 0) return;
    throw new MoorError(
      "unknown",
      `${helper} for ${target} ended with status ${exit.status}: ${readOutput(sys, outputFd)}`,
    );
  } finally {
    sys.close(outputFd);
  }
}

function readOutput(sys: Sys, fd: Fd): string {
  const bytes = new Uint8Array(maxOutputBytes);
  sys.seek(fd, 0);
  const length = sys.read(fd, bytes, 0, bytes.length);
  if (isErrno(length) || length === 0) return "it said nothing";
  return sys.decodeUtf8(bytes.subarray(0, length)).trim();
}
