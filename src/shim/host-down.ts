// Whether the host is going down: then a SIGTERM is not for the shim alone, and its containers shall get one too.
//
// Only systemd is asked. It stops units first and says "stopping" then; at the very end it becomes systemd-shutdown, which
// signals all that is left. Other inits (sysvinit's killall5, OpenRC, busybox) signal every process of the host at once,
// those of containers included.

import { OutputTap } from "../oci/runtime-output.ts";
import { settledWithin } from "../reaper/deadline.ts";
import type { Reaper } from "../reaper/reaper.ts";
import { isErrno } from "../sys/errno.ts";
import { MoorError } from "../sys/error.ts";
import { SIGKILL } from "../sys/flags.ts";
import type { Log } from "../sys/log.ts";
import type { Sys } from "../sys/sys.d.ts";

// The kernel keeps 15 bytes of "systemd-shutdown".
const shutdownName = "systemd-shutdow";
/** There when systemd is the init (sd_booted(3)). */
const systemdFolder = "/run/systemd/system";
const answerWithinMs = 3_000;

/** Never rejects: what cannot be found out counts as "no". */
export async function hostGoesDown(sys: Sys, reaper: Pick<Reaper, "spawn">, log: Log): Promise<boolean> {
  const init = sys.readText("/proc/1/comm", 64);
  if (!isErrno(init) && init.trim() === shutdownName) return true;
  if (isErrno(sys.stat(systemdFolder))) return false;
  let tap: OutputTap | undefined;
  try {
    tap = new OutputTap(sys, 256);
    const asked = reaper.spawn({
      file: "systemctl",
      argv: ["systemctl", "is-system-running"],
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      cwd: "/",
      fds: [{ target: 1, source: tap.writeFd }],
    });
    tap.closeWriteEnd();
    if (!(await settledWithin(sys, answerWithinMs, asked.exited))) asked.signal(SIGKILL);
    tap.finish();
    return tap.text().trim() === "stopping";
  } catch (thrown) {
    log.warn("systemd cannot be asked whether the host goes down", { error: MoorError.from(thrown).message });
    return false;
  } finally {
    tap?.finish();
  }
}
