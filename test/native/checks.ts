// The small test frame of the native tests: they run in the host itself, where nothing but the language and `sys` is.
// A test file awaits check() for each of its facts and ends with finish().

import sys from "sys";
import { errnoName, isErrno } from "../../src/sys/errno.ts";
import { POLLIN } from "../../src/sys/flags.ts";
import type { ChildExit, Errno, Fd, Pid, SpawnRequest } from "../../src/sys/sys.d.ts";

let failures = 0;
let passed = 0;
const omitted = new Set<string>();

export function print(line: string): void {
  const bytes = sys.encodeUtf8(`${line}\n`);
  sys.write(2 as Fd, bytes, 0, bytes.length);
}

/** Runs one fact's body; a throw or rejection is its failure. */
export async function check(name: string, body: () => void | Promise<void>): Promise<void> {
  try {
    await body();
    passed++;
  } catch (thrown) {
    failures++;
    const error = thrown instanceof Error ? `${thrown.message}\n${thrown.stack ?? ""}` : String(thrown);
    print(`not ok - ${name}: ${error}`);
  }
}

/** Has the last line say what could not be looked at here, and why. */
export function leaveOut(what: string): void {
  omitted.add(what);
}

/**
 * The last word of a test file: ends the process with 1 when a fact does not hold. Else the loop is left to end by itself,
 * after which the sanitized host takes the engine down and so finds every value that C code still holds.
 */
export function finish(): void {
  const count = failures === 0 ? `${passed} facts` : `${failures} of ${passed + failures} facts do not hold`;
  const rest = omitted.size === 0 ? "" : `; left out: ${[...omitted].join("; ")}`;
  print(`${failures === 0 ? "ok" : "FAILED"} - ${count}${rest}`);
  if (failures > 0) sys.exit(1);
}

function show(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  if (value instanceof Uint8Array) return `bytes ${value.join(",")}`;
  return value === undefined ? "undefined" : JSON.stringify(value);
}

export function ok(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

/** Equal by what JSON and the type say of them: enough for numbers, strings, bytes, and plain arrays and objects. */
export function equal(actual: unknown, expected: unknown, what = "value"): void {
  if (show(actual) !== show(expected)) throw new Error(`${what} is ${show(actual)}, not ${show(expected)}`);
}

/** The value of a call that must succeed. */
export function good<T>(value: T | Errno, what: string): Exclude<T, Errno> {
  if (isErrno(value)) throw new Error(`${what}: ${errnoName(value)}`);
  return value as Exclude<T, Errno>;
}

/** The value of a call that must fail with this errno. */
export function fails(value: unknown, errno: Errno, what: string): void {
  if (value !== errno) throw new Error(`${what} gives ${show(value)}, not ${errnoName(errno)}`);
}

/** A call with an argument of a wrong type: TypeError, and nothing else. */
export function typeError(call: () => unknown, what: string): void {
  try {
    call();
  } catch (thrown) {
    if (thrown instanceof TypeError) return;
    throw new Error(`${what} throws ${String(thrown)}, not a TypeError`);
  }
  throw new Error(`${what} throws nothing`);
}

/** Resolves from a timer of the loop. */
export function after(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    sys.timerStart(delayMs, resolve);
  });
}

/** The pids of this process's children, zombies too. */
export function children(): readonly string[] {
  const pid = sys.getpid();
  const text = good(sys.readText(`/proc/${pid}/task/${pid}/children`, 65_536), "children");
  return text.split(" ").filter((each) => each !== "");
}

/** A folder of this process's own, to be removed by removeFolder. */
export function makeFolder(): string {
  const name = Array.from(sys.randomBytes(8), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const path = `/tmp/moor-native-${name}`;
  good(sys.mkdir(path, 0o700), `mkdir ${path}`);
  return path;
}

/** Removes a folder and everything in it. */
export function removeFolder(path: string): void {
  for (const [name] of good(sys.readdir(path), `readdir ${path}`)) {
    const child = `${path}/${name}`;
    const status = good(sys.lstat(child), `lstat ${child}`);
    if ((status.mode & 0o170000) === 0o040000) removeFolder(child);
    else good(sys.unlink(child), `unlink ${child}`);
  }
  good(sys.rmdir(path), `rmdir ${path}`);
}

/** How many fds are open in this process. */
export function openFds(): number {
  return good(sys.readdir("/proc/self/fd"), "readdir /proc/self/fd").length;
}

/** A process that sys.spawn has started. */
export interface Child {
  readonly pid: Pid;
  readonly pidfd: Fd;
}

/** Resolves once the process of the pidfd has ended. A child stays a zombie. */
export function ended(pidfd: Fd): Promise<void> {
  return new Promise((resolve) => {
    const over = (): void => {
      good(sys.pollStop(pidfd), "pollStop");
      resolve();
    };
    good(sys.pollStart(pidfd, POLLIN, over), "pollStart");
  });
}

/** Waits for the child's end and reaps it; its pidfd is closed. */
export async function reaped({ pid, pidfd }: Child): Promise<ChildExit> {
  await ended(pidfd);
  const exit = good(sys.reap(pid), "reap");
  good(sys.close(pidfd), "close");
  if (exit === undefined) throw new Error(`${pid} has ended and is no zombie`);
  return exit;
}

/** What can be read until the end, as text; the fd is closed. Blocks when the fd does. */
export function readAll(fd: Fd): string {
  const buffer = new Uint8Array(65_536);
  let used = 0;
  for (;;) {
    const got = good(sys.read(fd, buffer, used, buffer.length - used), "read");
    if (got === 0) break;
    used += got;
  }
  good(sys.close(fd), "close");
  return sys.decodeUtf8(buffer.subarray(0, used));
}

/** Runs a program to its end: what it wrote to its stdout. It must end with 0. */
export async function outputOf(request: SpawnRequest): Promise<string> {
  const [readFd, writeFd] = good(sys.pipe(0), "pipe");
  const fds = [{ target: 1, source: writeFd }, { target: 2, source: 2 as Fd }, ...request.fds];
  const child = good(sys.spawn({ ...request, fds }), `spawn ${request.file}`);
  good(sys.close(writeFd), "close");
  const output = readAll(readFd);
  equal((await reaped(child)).status, 0, `${request.file}'s exit status`);
  return output;
}
