// What the tests with hostile peers share: a shim to be beset, how much memory that cost it, and how long everybody else
// waits meanwhile.

import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import type { TestContext } from "node:test";
import { StateRequest } from "../../src/api/task.ts";
import { meantDifference } from "./difference.ts";
import { DirectShim, shimAction, TASK_V2 } from "./direct-shim.ts";
import { isAlive } from "./processes.ts";
import { encodeRequest } from "./raw-ttrpc.ts";
import type { Scene } from "./scene.ts";
import { until } from "./until.ts";

export async function running(scene: Scene): Promise<DirectShim> {
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  await shim.create();
  await shim.call("Start");
  return shim;
}

export function stateRequest(id: string): Uint8Array {
  return encodeRequest(TASK_V2, "State", StateRequest.encode({ id, execId: "" }).finish());
}

/** Whether bounds are not to be checked, as the stock shim has none. */
export function boundsDiffer(t: TestContext): boolean {
  return !meantDifference(t, "peers-cost-a-fixed-amount");
}

/** The highest that the resident memory has been since resetPeak (proc(5), VmHWM). */
export function peakKb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]);
}

export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

/** How long a plain request of somebody else takes meanwhile: the slowest of some, in ms. */
export async function slowestState(shim: DirectShim, count: number): Promise<number> {
  let slowest = 0;
  for (let i = 0; i < count; i++) {
    const began = performance.now();
    assert.ok((await shim.call("State")).pid > 0);
    slowest = Math.max(slowest, performance.now() - began);
  }
  return slowest;
}

/** Ends a shim that may not be able to leave by itself: the stock shim waits for answers that nobody has taken. */
export async function putAway(t: TestContext, scene: Scene, shim: DirectShim): Promise<void> {
  if (!boundsDiffer(t)) return shim.end(scene);
  const pid = await shim.shimPid();
  await shim.call("Kill", { signal: 9 });
  await shim.call("Wait");
  await shim.call("Delete");
  shim.client.close();
  process.kill(pid, "SIGKILL");
  await until("the shim to be gone", 5_000, () => !isAlive(pid));
  await shimAction(scene, shim.bundle, ["-bundle", shim.bundle.dir, "delete"]);
  rmSync(shim.socketPath, { force: true });
  shim.bundle.remove();
}
