// Forces what a reaper must be safe from: a pid that has a new process as soon as the old one is reaped. It needs a pid
// namespace in which nothing else starts, so it starts itself again as the first process of one; there
// /proc/sys/kernel/ns_last_pid says which pid comes next (pid_namespaces(7)).

import sys from "sys";
import { type Announcement, type OwnedProcess, Reaper } from "../../src/reaper/reaper.ts";
import { MoorError } from "../../src/sys/error.ts";
import { SIGCHLD, SIGKILL, SIGTERM } from "../../src/sys/flags.ts";
import type { Log } from "../../src/sys/log.ts";
import type { Fd, Pid } from "../../src/sys/sys.d.ts";
import { check, equal, finish, good, ok, openFds, print } from "./checks.ts";

const rounds = 50;
const quiet = () => undefined;
const log: Log = { debug: quiet, info: quiet, warn: quiet, error: (message) => print(`not ok - log: ${message}`) };
const reaper = new Reaper(sys, log);
const sweeps: (() => void)[] = [];
good(
  sys.signalStart([SIGCHLD], () => {
    reaper.childSignal();
    for (const wake of sweeps.splice(0)) wake();
  }),
  "signalStart",
);

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise<void>((resolve) => {
      sweeps.push(resolve);
    });
  }
}

function shell(script: string, output?: Fd, input?: Fd): OwnedProcess {
  const fds = [{ target: 2, source: 2 as Fd }];
  if (output !== undefined) fds.push({ target: 1, source: output });
  if (input !== undefined) fds.push({ target: 3, source: input });
  return reaper.spawn({ file: "/bin/sh", argv: ["sh", "-c", script], env: ["PATH=/bin:/usr/bin"], fds });
}

/** A child of the shell's that ends when fd 3 does: a shell that is still there might reap it by itself. */
function leftBehind(status: number): string {
  return `{ read x <&3; exit ${status}; } &`;
}

const longLived = () => shell("exec sleep 1000");

/** The next process of this namespace gets this pid, unless somebody has it. */
function setNextPid(pid: Pid): void {
  good(sys.writeText("/proc/sys/kernel/ns_last_pid", String(pid - 1), 0, 0), "write ns_last_pid");
}

async function ended(owned: OwnedProcess): Promise<void> {
  owned.signal(SIGTERM);
  equal((await owned.exited).signal, SIGTERM);
}

/** A process that a runtime of ours has left behind, which exits with the status; the runtime's exit is over. */
async function abandoned(status: number): Promise<Pid> {
  const [readFd, writeFd] = good(sys.pipe(0), "pipe");
  const [gateFd, openGateFd] = good(sys.pipe(0), "pipe");
  const runtime = shell(`${leftBehind(status)} echo $!`, writeFd, gateFd);
  sys.close(writeFd);
  sys.close(gateFd);
  await runtime.exited;
  sys.close(openGateFd);
  const bytes = new Uint8Array(16);
  const length = good(sys.read(readFd, bytes, 0, bytes.length), "read the pid");
  sys.close(readFd);
  return Number(sys.decodeUtf8(bytes.subarray(0, length))) as Pid;
}

/** One that is held as a zombie by now. */
async function heldOne(status: number): Promise<Pid> {
  const pid = await abandoned(status);
  await until(() => reaper.state().held.includes(pid));
  return pid;
}

function refuses(announcement: Announcement, pid: Pid): void {
  try {
    announcement.claim(pid);
  } catch (thrown) {
    ok(thrown instanceof MoorError && thrown.code === "failed_precondition", String(thrown));
    return;
  }
  throw new Error(`process ${pid} could be claimed`);
}

async function facts(): Promise<void> {
  const fdsBefore = openFds();

  await check(
    "after the reap the pid has a new process: the old handle sends nothing, the exit is the new owner's",
    async () => {
      for (let round = 0; round < rounds; round++) {
        const old = shell(`exit ${round}`);
        equal((await old.exited).status, round);
        setNextPid(old.pid);
        const fresh = longLived();
        equal(fresh.pid, old.pid, "the reused pid");
        equal(old.signal(SIGKILL), false, "a signal by the old handle");
        equal(fresh.signal(SIGTERM), true, "a signal by the new one");
        // SIGKILL would have come first.
        equal((await fresh.exited).signal, SIGTERM);
        equal(old.exit?.status, round, "the old exit");
      }
    },
  );

  await check("in the callback of its exit a pid is still taken", async () => {
    let other: OwnedProcess | undefined;
    const old = reaper.spawn({ file: "/bin/true", argv: ["true"], env: [], fds: [] }, (exit) => {
      setNextPid(exit.pid);
      other = longLived();
    });
    await old.exited;
    ok(other !== undefined && other.pid !== old.pid, "another pid");
    await ended(other);
  });

  await check("a held zombie's pid cannot be taken; once claimed it is handed over, reaped, and free", async () => {
    const announcement = reaper.announce();
    const pid = await heldOne(5);
    setNextPid(pid);
    const other = longLived();
    ok(other.pid !== pid, "another pid");
    const seen: number[] = [];
    const claimed = announcement.claim(pid, (exit) => seen.push(exit.status));
    equal([claimed.exit?.status, ...seen], [5, 5]);
    setNextPid(pid);
    const fresh = longLived();
    equal(fresh.pid, pid, "the freed pid");
    equal(claimed.signal(SIGKILL), false);
    announcement.end();
    await ended(fresh);
    await ended(other);
    equal(seen, [5]);
  });

  await check(
    "what nobody has claimed is held until the announcement ends; others behind it are seen meanwhile",
    async () => {
      const orphansBefore = reaper.state().orphans;
      const announcement = reaper.announce();
      const front = await heldOne(1);
      const behind = await heldOne(2);
      equal((await shell("exit 3").exited).status, 3);
      equal(reaper.state().held, [front, behind]);
      announcement.end();
      equal([reaper.state().held, reaper.state().orphans - orphansBefore], [[], 2]);
      setNextPid(behind);
      const fresh = longLived();
      equal(fresh.pid, behind, "the freed pid");
      await ended(fresh);
    },
  );

  await check("claim: neither of a process that is no child, nor of one that is reaped", async () => {
    const announcement = reaper.announce();
    refuses(announcement, sys.getpid());
    const gone = shell("exit 0");
    await gone.exited;
    refuses(announcement, gone.pid);
    announcement.end();
  });

  await check("many at once: each exit is its own, orphans too; no fd, no zombie is left", async () => {
    const orphansBefore = reaper.state().orphans;
    const [gateFd, openGateFd] = good(sys.pipe(0), "pipe");
    const all = Array.from({ length: 100 }, (_, index) => shell(`${leftBehind(1)} exit ${index}`, undefined, gateFd));
    sys.close(gateFd);
    for (const [index, each] of all.entries()) equal((await each.exited).status, index);
    sys.close(openGateFd);
    await until(() => reaper.state().orphans === orphansBefore + all.length);
    equal(openFds(), fdsBefore, "open fds");
    equal(good(sys.readText("/proc/self/task/1/children", 4096), "children"), "");
    equal([reaper.state().owned, reaper.state().held, reaper.state().announcements], [[], [], 0]);
  });

  finish();
  sys.exit(0);
}

/** Itself again, as the first process of a new pid namespace; without root in a user namespace too. */
async function inNamespace(): Promise<void> {
  const self = good(sys.readlink("/proc/self/exe"), "readlink");
  const asUser = sys.getuid() === 0 ? [] : ["--user", "--map-root-user"];
  const namespaced = reaper.spawn({
    file: "unshare",
    argv: ["unshare", ...asUser, "--pid", "--fork", "--kill-child", "--mount-proc", self],
    env: [...sys.environ, "MOOR_TEST_PIDS=own"],
    fds: [{ target: 2, source: 2 as Fd }],
    parentDeathSignal: SIGKILL,
  });
  sys.exit((await namespaced.exited).status);
}

if (sys.environ.includes("MOOR_TEST_PIDS=own")) await facts();
else await inNamespace();
