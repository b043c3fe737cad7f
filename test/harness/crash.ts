// Crashes of the real shim: one is sent to it (or provoked), and the image of the program that goes on is awaited. Also a
// client that, when a call was cut short, looks what has become of it and goes on from there.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type DirectShim, type Method, type RequestOf, type ResponseOf } from "./direct-shim.ts";
import { isAlive } from "./processes.ts";
import { Code } from "./refusal.ts";
import { StatusError } from "./raw-ttrpc.ts";
import { until } from "./until.ts";

/** A line of the bundle's file of crashes. */
export interface CrashNote {
  readonly at: string;
  readonly cause: string;
  readonly code: number;
  readonly address?: string;
  readonly instruction: string;
  readonly sender?: number;
  readonly count: number;
  readonly version: string;
  readonly pid: number;
  readonly calls: readonly string[];
}

export function crashesOf(bundle: string): readonly CrashNote[] {
  const path = join(bundle, "crashes");
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as CrashNote);
}

/** Waits for the image that comes after the crash of this number, and tells of it. */
export async function untilResumed(bundle: string, count: number): Promise<CrashNote> {
  await until("the shim to go on", 10_000, () => crashesOf(bundle).length >= count);
  const note = crashesOf(bundle)[count - 1];
  assert.ok(note !== undefined);
  return note;
}

/** Sends the signal, as if the shim had made the fault itself, and waits until it goes on. */
export async function crashShim(pid: number, bundle: string, signal: NodeJS.Signals = "SIGSEGV"): Promise<CrashNote> {
  const before = crashesOf(bundle).length;
  process.kill(pid, signal);
  const note = await untilResumed(bundle, before + 1);
  assert.equal(note.pid, pid, "the same process");
  assert.equal(note.cause, signal);
  assert.ok(isAlive(pid));
  return note;
}

/** A call's answer; undefined when it was cut short by a crash. */
export async function callOnce<M extends Method>(
  shim: DirectShim,
  method: M,
  fields: Partial<RequestOf<M>> = {},
): Promise<ResponseOf<M> | undefined> {
  try {
    return await shim.call(method, fields);
  } catch (thrown) {
    if (thrown instanceof StatusError && thrown.code === Code.UNAVAILABLE) return undefined;
    throw thrown;
  }
}

/** Sends the signal until it is known to have been sent; twice does no harm to what ends of it. */
export async function killSurely(shim: DirectShim, signal: number, execId = ""): Promise<void> {
  try {
    while ((await callOnce(shim, "Kill", { execId, signal })) === undefined);
  } catch (thrown) {
    // It has ended of the first.
    if (!(thrown instanceof StatusError && thrown.code === Code.NOT_FOUND)) throw thrown;
  }
}

/** The state of a process; undefined when there is none. */
export async function statusOf(shim: DirectShim, execId = ""): Promise<number | undefined> {
  try {
    return (await shim.call("State", { execId })).status;
  } catch (thrown) {
    if (thrown instanceof StatusError && thrown.code === Code.NOT_FOUND) return undefined;
    throw thrown;
  }
}

/** Calls until it is answered or `isDone` says that it has been done all the same. How often it was cut short. */
export async function callUntilDone<M extends Method>(
  shim: DirectShim,
  method: M,
  fields: Partial<RequestOf<M>>,
  isDone: () => Promise<boolean>,
): Promise<number> {
  for (let cut = 0; cut < 3; cut++) {
    if ((await callOnce(shim, method, fields)) !== undefined) return cut;
    if (await isDone()) return cut + 1;
  }
  throw new Error(`${method} is cut short again and again`);
}
