// How programs are started: with which fds, environment, folder, group and signals; and that a start that fails leaves
// nothing behind. Started again with MOOR_TEST_ROLE, this file is also the program that is started.

import sys from "sys";
import { EACCES, EBADF, EINVAL, ENOENT, ENOTDIR } from "../../src/sys/errno.ts";
import { O_CREAT, O_RDONLY, SIGHUP, SIGKILL, SIGTERM, SIGUSR1 } from "../../src/sys/flags.ts";
import type { Errno, Fd, FdMapping, Pid, SpawnRequest } from "../../src/sys/sys.d.ts";
import {
  check,
  children,
  equal,
  fails,
  finish,
  good,
  makeFolder,
  ok,
  openFds,
  readAll,
  reaped,
  removeFolder,
  typeError,
} from "./checks.ts";

const ENOEXEC = -8 as Errno;
const path = "PATH=/usr/bin:/bin";
const linkOf = (fd: number | string) => good(sys.readlink(`/proc/self/fd/${fd}`), "readlink");

// ---- what this file does as the program ----

/** Writes down which fds it has, as "NUMBER LINK" lines. */
function reportFds(to: string): void {
  const links = good(sys.readdir("/proc/self/fd"), "readdir").map(([fd]) => [fd, sys.readlink(`/proc/self/fd/${fd}`)]);
  // The folder's own fd is closed by now.
  const lines = links.filter(([, link]) => typeof link === "string").map((pair) => pair.join(" "));
  good(sys.writeText(to, lines.join("\n"), O_CREAT, 0o600), "writeText");
}

/** Starts a program, writes down its pid, and leaves it. */
function leaveChild(to: string, parentDeathSignal: string): void {
  const request = { file: "sleep", argv: ["sleep", "1000"], env: [path], fds: [] };
  const signal = Number(parentDeathSignal);
  const child = good(sys.spawn(signal > 0 ? { ...request, parentDeathSignal: signal } : request), "spawn");
  good(sys.writeText(to, String(child.pid), O_CREAT, 0o600), "writeText");
  sys.exit(0);
}

/** Starts a program that prints its own state. */
async function passOn(): Promise<void> {
  const fds = [{ target: 1, source: 1 as Fd }];
  await reaped(good(sys.spawn({ file: "cat", argv: ["cat", "/proc/self/status"], env: [path], fds }), "spawn"));
}

// ---- the facts ----

/** Runs a program to its end: its output, and how it ended. */
async function run(request: Partial<SpawnRequest>): Promise<{ text: string; status: number }> {
  const [readFd, writeFd] = good(sys.pipe(0), "pipe");
  const fds = [{ target: 1, source: writeFd }];
  const child = good(sys.spawn({ file: "/bin/sh", argv: ["sh"], env: [path], fds, ...request }), "spawn");
  good(sys.close(writeFd), "close");
  const text = readAll(readFd);
  return { text, status: (await reaped(child)).status };
}

const cat = async (file: string, more: Partial<SpawnRequest> = {}): Promise<string> =>
  (await run({ file: "/bin/cat", argv: ["cat", file], ...more })).text;

async function facts(): Promise<void> {
  const self = good(sys.readlink("/proc/self/exe"), "readlink");
  const folder = makeFolder();
  const at = (name: string) => `${folder}/${name}`;
  const asRole = (role: string, ...argv: string[]) => ({
    file: self,
    argv: ["moor-host", ...argv],
    env: [...sys.environ, `MOOR_TEST_ROLE=${role}`],
  });
  const script = (name: string, text: string, mode: number) => {
    good(sys.writeText(at(name), text, O_CREAT, mode), "writeText");
    good(sys.chmod(at(name), mode), "chmod");
  };
  good(
    sys.signalStart([SIGUSR1, SIGHUP], () => undefined),
    "signalStart",
  );
  const fdsBefore = openFds();

  /** The fd table of a child that got these. */
  async function tableOf(fds: readonly FdMapping[]): Promise<Record<string, string>> {
    const child = good(sys.spawn({ ...asRole("fds", at("fds")), fds }), "spawn");
    equal(await reaped(child), { pid: child.pid, code: 1, status: 0 });
    const lines = good(sys.readText(at("fds"), 4096), "readText").split("\n");
    good(sys.unlink(at("fds")), "unlink");
    return Object.fromEntries(lines.map((line) => line.split(" ") as [string, string]));
  }

  await check("fds: 0, 1 and 2 are /dev/null when they are not named, and nothing else is open", async () => {
    const kept = good(sys.eventfd(), "eventfd");
    good(sys.setCloexec(kept, false), "setCloexec");
    equal(await tableOf([]), { 0: "/dev/null", 1: "/dev/null", 2: "/dev/null" });
    good(sys.close(kept), "close");
  });

  await check("fds: exchanged, doubled, in place, far above; the parent's stay as they are", async () => {
    const pipes = [0, 0, 0].flatMap(() => good(sys.pipe(0), "pipe"));
    const [a, b, c, d, e, f] = pipes as [Fd, Fd, Fd, Fd, Fd, Fd];
    const links = pipes.map(linkOf);
    const [pipe1, pipe2, pipe3] = [links[0], links[2], links[4]] as [string, string, string];
    for (const fd of [d, f]) good(sys.setCloexec(fd, false), "setCloexec");
    // The numbers that are free next: copies made on the way must not be there.
    const free = good(sys.dup(a), "dup");
    good(sys.close(free), "close");
    const mapping = [
      [free + 1, a],
      [free, c],
      [a, c],
      [c, e],
      [e, a],
      [b, b],
      [0, c],
      [2, c],
      [1023, a],
    ] as const;
    const table = await tableOf(mapping.map(([target, source]) => ({ target, source })));
    equal(table, {
      0: pipe2,
      1: "/dev/null",
      2: pipe2,
      [a]: pipe2,
      [b]: pipe1,
      [c]: pipe3,
      [e]: pipe1,
      [free]: pipe2,
      [free + 1]: pipe1,
      1023: pipe1,
    });
    equal(pipes.map(linkOf), links, "the parent's");
    for (const fd of pipes) good(sys.close(fd), "close");
  });

  await check("a start that fails is an errno; no process remains, not even a zombie", () => {
    good(sys.mkdir(at("folder"), 0o700), "mkdir");
    script("plain", "#!/bin/sh\n", 0o600);
    script("garbage", "\u0001\u0002", 0o700);
    script("interpreter", `#!${folder}/absent\n`, 0o700);
    const request: SpawnRequest = { file: "/bin/true", argv: ["true"], env: [path], fds: [] };
    const failing: readonly (readonly [string, Errno, Partial<SpawnRequest>])[] = [
      ["an absent file", ENOENT, { file: at("absent") }],
      ["an absent name", ENOENT, { file: "moor-absent" }],
      ["no name", ENOENT, { file: "" }],
      ["below a file", ENOTDIR, { file: at("plain/below") }],
      ["a file that is not executable", EACCES, { file: at("plain") }],
      ["a folder", EACCES, { file: at("folder") }],
      ["no program", ENOEXEC, { file: at("garbage") }],
      ["an absent interpreter", ENOENT, { file: at("interpreter") }],
      ["an absent folder to start in", ENOENT, { cwd: at("absent") }],
      ["a file to start in", ENOTDIR, { cwd: at("plain") }],
      ["a closed fd", EBADF, { fds: [{ target: 0, source: 999 as Fd }] }],
      ["no such signal", EINVAL, { parentDeathSignal: 1000 }],
    ];
    for (const [what, errno, change] of failing) {
      fails(sys.spawn({ ...request, ...change }), errno, what);
      equal(children(), [], `children after ${what}`);
      equal(openFds(), fdsBefore, `open fds after ${what}`);
    }
  });

  await check("a name is looked up in the PATH of the child's environment, and only there", async () => {
    good(sys.mkdir(at("one"), 0o700), "mkdir");
    good(sys.mkdir(at("two"), 0o700), "mkdir");
    script("one/program", "#!/bin/sh\necho one\n", 0o600);
    script("two/program", "#!/bin/sh\necho two\n", 0o700);
    const named = (value: string, more: Partial<SpawnRequest> = {}) =>
      ({ file: "program", argv: ["program"], env: [`PATH=${value}`], fds: [], ...more }) satisfies SpawnRequest;
    const { fds: _none, ...found } = named(`${at("absent")}:${at("plain")}:${at("one")}:${at("two")}`);
    equal(await run(found), { text: "two\n", status: 0 }, "the first that can be executed");
    fails(sys.spawn(named(at("one"))), EACCES, "only one that cannot");
    fails(sys.spawn(named(at("absent"))), ENOENT, "none");
    fails(sys.spawn({ ...named(at("two")), file: "true" }), ENOENT, "a name in our own PATH");
    for (const value of ["", `${at("one")}:`, `:${at("one")}`]) {
      const { fds: _, ...here } = named(value, { cwd: at("two") });
      equal(await run(here), { text: "two\n", status: 0 }, `the current folder in "${value}"`);
    }
    equal(await run({ file: "true", argv: ["true"], env: [] }), { text: "", status: 0 }, "no PATH at all");
  });

  await check("argv and environment are exactly these", async () => {
    equal(await cat("/proc/self/environ", { env: ["A=1", "B=ü =", "A=2", "C="] }), "A=1\0B=ü =\0A=2\0C=\0");
    equal(await cat("/proc/self/environ", { env: [] }), "");
    const argv = ["another name", "-c", "cat /proc/$$/cmdline; :", "", "ü x"];
    equal((await run({ argv })).text, `${argv.join("\0")}\0`);
  });

  await check("cwd: the folder it starts in, from which a relative file is looked for; else ours", async () => {
    equal((await run({ argv: ["sh", "-c", "pwd -P"], cwd: at("two") })).text, `${at("two")}\n`);
    equal((await run({ file: "./two/program", argv: ["program"], cwd: folder })).text, "two\n");
    equal((await run({ argv: ["sh", "-c", "pwd -P"] })).text, `${good(sys.getcwd(), "getcwd")}\n`);
  });

  await check("process group and session: ours, or new", async () => {
    const fields = (stat: string) => stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const ids = async (more: Partial<SpawnRequest>) => {
      const stat = await cat("/proc/self/stat", more);
      const [, , group, session] = fields(stat);
      const pid = stat.split(" ")[0];
      return [group === pid, session === pid, group, session];
    };
    const [, , ourGroup, ourSession] = fields(good(sys.readText("/proc/self/stat", 4096), "readText"));
    equal(await ids({}), [false, false, ourGroup, ourSession]);
    equal(await ids({ newGroup: false, newSession: false }), [false, false, ourGroup, ourSession]);
    const [leads, leadsSession, , session] = await ids({ newGroup: true });
    equal([leads, leadsSession, session], [true, false, ourSession]);
    equal((await ids({ newSession: true })).slice(0, 2), [true, true]);
    equal((await ids({ newSession: true, newGroup: true })).slice(0, 2), [true, true]);
  });

  const signalSets = (status: string) =>
    ["SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd"].map((name) =>
      Number.parseInt(new RegExp(`^${name}:\\s*([0-9a-f]+)$`, "m").exec(status)?.[1] ?? "", 16),
    );
  await check("signals: none blocked, none ignored, whatever we block and ignore or were started with", async () => {
    const ours = signalSets(good(sys.readText("/proc/self/status", 65_536), "readText"));
    ok((ours[0] ?? 0) !== 0 && (ours[1] ?? 0) !== 0, "we block some and ignore some");
    equal(signalSets(await cat("/proc/self/status")), [0, 0, 0, 0, 0]);
    const { file, env } = asRole("pass-on");
    const started = await run({ argv: ["sh", "-c", "trap '' HUP INT TERM USR2; exec \"$0\"", file], env });
    equal(started.status, 0);
    equal(signalSets(started.text), [0, 0, 0, 0, 0], "below one that ignores more");
  });

  await check("parentDeathSignal: sent when the parent ends; without it a child stays", async () => {
    good(sys.becomeSubreaper(), "becomeSubreaper");
    for (const signal of [SIGKILL, 0]) {
      const parent = good(sys.spawn({ ...asRole("leave-child", at("pid"), String(signal)), fds: [] }), "spawn");
      equal((await reaped(parent)).status, 0);
      const pid = Number(good(sys.readText(at("pid"), 100), "readText")) as Pid;
      good(sys.unlink(at("pid")), "unlink");
      const pidfd = good(sys.pidfdOpen(pid), "pidfdOpen");
      // Had the parent's end sent SIGKILL, that would win.
      if (signal === 0) good(sys.pidfdSignal(pidfd, SIGTERM), "pidfdSignal");
      equal(await reaped({ pid, pidfd }), { pid, code: 2, status: signal === 0 ? SIGTERM : SIGKILL });
    }
  });

  await check("the pidfd is the child's, and CLOEXEC", async () => {
    const child = good(sys.spawn({ file: "/bin/true", argv: ["true"], env: [], fds: [] }), "spawn");
    const info = good(sys.readText(`/proc/self/fdinfo/${child.pidfd}`, 4096), "fdinfo");
    ok(new RegExp(`^Pid:\\s*${child.pid}$`, "m").test(info), info);
    ok((Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(info)?.[1] ?? "", 8) & 0o2000000) !== 0, "CLOEXEC");
    equal((await reaped(child)).status, 0);
  });

  await check("each field of a wrong type is a TypeError, and starts nothing", () => {
    const source = good(sys.open("/dev/null", O_RDONLY, 0), "open");
    const request = {
      file: "/bin/true",
      argv: ["true"],
      env: ["A=1"],
      cwd: "/",
      fds: [{ target: 0, source }],
      newGroup: true,
      newSession: true,
      parentDeathSignal: SIGTERM,
    };
    const wrong: Readonly<Record<string, readonly unknown[]>> = {
      file: [undefined, null, 1, "a\0b", ["/bin/true"]],
      argv: [undefined, "true", ["true", 1], ["true", undefined], ["a\0b"], { length: 1, 0: "true" }],
      env: [undefined, { A: "1" }, ["A=1", null], ["A=1", "B=\0"]],
      cwd: [null, 1, "/\0"],
      fds: [
        undefined,
        { 0: source },
        [1],
        [{ target: 0, source }, null],
        [{ target: 0 }],
        [{ source }],
        [{ target: "0", source }],
        [{ target: 0, source: "0" }],
        [{ target: -1, source }],
        [{ target: 1024, source }],
        [{ target: 0.5, source }],
      ],
      newGroup: [null, 1, "yes"],
      newSession: [null, 0],
      parentDeathSignal: [null, "15", 1.5, 2 ** 31],
    };
    for (const [name, values] of Object.entries(wrong)) {
      for (const value of values) {
        typeError(() => sys.spawn({ ...request, [name]: value } as never), `${name} ${JSON.stringify(value)}`);
      }
      const throwing = Object.defineProperty({ ...request }, name, {
        get: () => {
          throw new TypeError("from a getter");
        },
      });
      typeError(() => sys.spawn(throwing as never), `a getter of ${name} that throws`);
    }
    for (const value of [undefined, null, 1, "/bin/true"]) typeError(() => sys.spawn(value as never), String(value));
    equal(children(), []);
    good(sys.close(source), "close");
  });

  removeFolder(folder);
  await check("nothing is left open, no child is left", () => {
    equal(openFds(), fdsBefore, "open fds");
    equal(children(), []);
  });
  finish();
  sys.exit(0);
}

const role = sys.environ.find((each) => each.startsWith("MOOR_TEST_ROLE="))?.slice("MOOR_TEST_ROLE=".length);
const [, first = "", second = ""] = sys.args;
if (role === "fds") reportFds(first);
else if (role === "leave-child") leaveChild(first, second);
else if (role === "pass-on") await passOn();
else await facts();
