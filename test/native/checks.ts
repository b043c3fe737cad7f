// The small test frame of the native tests: they run in the host itself, where nothing but the language and `sys` is.
// A test file awaits check() for each of its facts and ends with finish().

import sys from "sys";
import { errnoName, isErrno } from "../../src/sys/errno.ts";
import type { Errno, Fd } from "../../src/sys/sys.d.ts";

let failures = 0;
let passed = 0;

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

/**
 * The last word of a test file: ends the process with 1 when a fact does not hold. Else the loop is left to end by itself,
 * after which the sanitized host takes the engine down and so finds every value that C code still holds.
 */
export function finish(): void {
  const count = failures === 0 ? `${passed} facts` : `${failures} of ${passed + failures} facts do not hold`;
  print(`${failures === 0 ? "ok" : "FAILED"} - ${count}`);
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
