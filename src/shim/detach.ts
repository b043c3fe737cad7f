// The fork by which `start` leaves a shim behind: the parent waits until the child is ready or has failed, and the child
// becomes a process of its own, with nothing of its starter's but what was handed to it on purpose.

import { errnoName, isErrno } from "../sys/errno.ts";
import { MoorError, must } from "../sys/error.ts";
import { O_RDWR } from "../sys/flags.ts";
import type { Fd, Sys } from "../sys/sys.d.ts";
import { openLogFifo } from "./logger.ts";

export interface ParentSide {
  readonly side: "parent";
  /** Returns when the child is ready. @throws MoorError with the child's own words when it failed, or ended before. */
  awaitChild(): void;
}

export interface ChildSide {
  readonly side: "child";
  /** The fd by which the parent is told; to be kept open until then. */
  readonly reportFd: Fd;
  ready(): void;
  /** Tells the parent why there will be no shim, and ends this process. */
  failed(thrown: unknown): never;
}

const readyWord = "ready";
const failedWord = "failed ";

/** Forks. To be called before the event loop is used. @throws MoorError when the kernel refuses. */
export function forkShim(sys: Sys): ParentSide | ChildSide {
  const [readFd, writeFd] = must(sys.pipe(0), "make a pipe");
  const pid = must(sys.fork(), "fork");
  if (pid !== 0) {
    sys.close(writeFd);
    return { side: "parent", awaitChild: () => readReport(sys, readFd) };
  }
  sys.close(readFd);
  const report = (text: string): void => {
    const bytes = sys.encodeUtf8(text);
    // A parent that is gone has told its daemon nothing; the shim serves those who find it all the same.
    sys.write(writeFd, bytes, 0, bytes.length);
    sys.close(writeFd);
  };
  return {
    side: "child",
    reportFd: writeFd,
    ready: () => report(readyWord),
    failed: (thrown) => {
      report(failedWord + MoorError.from(thrown).message);
      sys.exit(1);
    },
  };
}

/** What the child says comes in one piece: it is shorter than PIPE_BUF (pipe(7)), or cut. */
function readReport(sys: Sys, fd: Fd): void {
  const buffer = new Uint8Array(4096);
  const count = sys.read(fd, buffer, 0, buffer.length);
  sys.close(fd);
  const text = isErrno(count) ? errnoName(count) : sys.decodeUtf8(buffer.subarray(0, count));
  if (text === readyWord) return;
  if (text.startsWith(failedWord)) throw new MoorError("unknown", text.slice(failedWord.length));
  throw new MoorError("unknown", `the shim ended before it was ready${text === "" ? "" : `: ${text}`}`);
}

export interface DaemonSetup {
  /** fds from 3 on that stay; all others are closed. */
  readonly keepFds: readonly Fd[];
  /** The bundle's log. */
  readonly logPath: string;
  /** For /proc/self/oom_score_adj; undefined leaves it. */
  readonly oomScoreAdj: number | undefined;
  /** Whether to get a core scheduling cookie of one's own (prctl(2), PR_SCHED_CORE). */
  readonly schedCore: boolean;
}

const PR_SCHED_CORE = 62;
const PR_SCHED_CORE_CREATE = 1;
/** This process with all its threads; children inherit it. */
const PR_SCHED_CORE_SCOPE_THREAD_GROUP = 1;

/**
 * Makes the forked child a daemon: a session of its own, subreaper of its containers' processes, standard output and
 * error to the bundle's log and nothing open that was its starter's.
 * @returns the log's fd (undefined: there is none) and what went wrong and does not matter much.
 * @throws MoorError when the kernel refuses what cannot be done without.
 */
export function becomeDaemon(sys: Sys, setup: DaemonSetup): { logFd: Fd | undefined; warnings: string[] } {
  must(sys.setsid(), "begin a session");
  must(sys.becomeSubreaper(), "become a subreaper");
  closeOthers(sys, setup.keepFds);
  const logFd = redirectStandardFds(sys, setup.logPath);
  if (setup.schedCore) {
    const status = sys.prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, PR_SCHED_CORE_SCOPE_THREAD_GROUP, 0);
    must(status, "get a core scheduling cookie (SCHED_CORE)");
  }
  const warnings: string[] = [];
  if (setup.oomScoreAdj !== undefined) {
    const score = String(setup.oomScoreAdj);
    // Raising it needs no privilege; a container's manager may forbid even that.
    const status = sys.writeText("/proc/self/oom_score_adj", score, 0, 0);
    if (isErrno(status)) warnings.push(`set oom_score_adj to ${score}: ${errnoName(status)}`);
  }
  return { logFd, warnings };
}

/** A pipe of the daemon's that stayed open here would keep it waiting for the end of `start`. */
function closeOthers(sys: Sys, keepFds: readonly Fd[]): void {
  const entries = must(sys.readdir("/proc/self/fd"), "list open fds");
  for (const [name] of entries) {
    const fd = Number(name) as Fd;
    // One of these is the listing's own, and closed by now.
    if (fd > 2 && !keepFds.includes(fd)) sys.close(fd);
  }
}

function redirectStandardFds(sys: Sys, logPath: string): Fd | undefined {
  const nothing = must(sys.open("/dev/null", O_RDWR, 0), "open /dev/null");
  const log = openLogFifo(sys, logPath);
  must(sys.dup2(nothing, 0), "redirect standard input");
  must(sys.dup2(log ?? nothing, 1), "redirect standard output");
  must(sys.dup2(log ?? nothing, 2), "redirect standard error");
  sys.close(nothing);
  if (log === undefined) return undefined;
  sys.close(log);
  return 2 as Fd;
}
