// A whole shim in a pid namespace of its own, in which the next pid is set by force before each process: pids come again and
// again, and each exit, signal and answer is still about the process it is meant for.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { test } from "node:test";
import { callTask, type Method, type RequestOf, type ResponseOf, TestBundle } from "./harness/direct-shim.ts";
import { onlyMoor } from "./harness/difference.ts";
import { execSpec, useFaultScene } from "./harness/fault-scene.ts";
import { RawClient } from "./harness/raw-ttrpc.ts";
import { Code, faultOf } from "./harness/refusal.ts";
import { shimPath } from "./harness/repository.ts";
import { until, within } from "./harness/until.ts";

const { scene, sink: sinkOf } = useFaultScene();
/** Where pids begin anew. */
const BASE = 500;
const ROUNDS = 30;

/** The first process of the namespace: starts the shim, and then sets the last pid given out to what it is told. */
const INIT =
  '"$@" start </dev/null; echo; while read -r pid; do echo "$pid" >/proc/sys/kernel/ns_last_pid; echo set; done';

class Namespace {
  readonly #child;
  readonly #lines: string[] = [];
  #wake: () => void = () => undefined;

  constructor(bundle: TestBundle) {
    const flags = ["-namespace", scene.namespace, "-address", scene.daemon.address, "-id", bundle.id];
    const shim = [shimPath(), ...flags];
    this.#child = spawn(
      "unshare",
      ["--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", INIT, "sh", ...shim],
      {
        cwd: bundle.dir,
        env: {
          PATH: process.env["PATH"],
          TMPDIR: join(scene.dir, "tmp"),
          TTRPC_ADDRESS: `${scene.daemon.address}.ttrpc`,
        },
        stdio: ["pipe", "pipe", "inherit"],
      },
    );
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      this.#lines.push(line);
      this.#wake();
    });
    scene.onClose(() => this.#child.kill("SIGKILL"));
  }

  async line(): Promise<string> {
    while (this.#lines.length === 0) {
      const more = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await within("a word from the namespace", 10_000, more);
    }
    return this.#lines.shift() ?? "";
  }

  /** The next process gets the pid after this one, or the first that is free. */
  async setLastPid(pid: number): Promise<void> {
    this.#child.stdin.write(`${pid}\n`);
    assert.equal(await this.line(), "set");
  }

  async end(): Promise<void> {
    const closed = new Promise((resolve) => this.#child.on("close", resolve));
    this.#child.stdin.end();
    await within("the namespace to end", 10_000, closed);
  }
}

test("pid reuse: a whole shim where pids come again and again", async (t) => {
  if (onlyMoor(t, "delete-knows-the-status")) return;
  const bundle = new TestBundle(scene, ["/bin/sleep", "1000"]);
  const namespace = new Namespace(bundle);
  const address = await namespace.line();
  const client = await RawClient.connect(address.replace("unix://", ""));
  const call = <M extends Method>(method: M, fields: Partial<RequestOf<M>> = {}): Promise<ResponseOf<M>> =>
    callTask(client, method, { id: bundle.id, ...fields } as Partial<RequestOf<M>>);
  await call("Create", { bundle: bundle.dir });
  await call("Start");

  // One after the other: with the pid of one before, each tells its own status.
  const pids: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const execId = `e${i}`;
    await call("Exec", { execId, spec: execSpec("/bin/sh", "-c", `exit ${i}`) });
    await namespace.setLastPid(BASE);
    const { pid } = await call("Start", { execId });
    assert.equal((await call("Wait", { execId })).exitStatus, i);
    pids.push(pid);
  }
  const reused = ROUNDS - new Set(pids).size;
  t.diagnostic(`${reused} of ${ROUNDS} execs had a pid that one before them had had`);
  assert.ok(reused >= ROUNDS / 3, `pids ${pids.join(" ")}`);
  for (const { fields, processId } of sinkOf().events.filter(({ topic }) => topic === "/tasks/exit")) {
    const i = Number(processId.slice(1));
    assert.deepEqual([fields["pid"], fields["exitStatus"]], [pids[i], i], processId);
  }

  // What has the pid of another that has ended is not touched by what is meant for that.
  let met = 0;
  for (let i = 0; i < ROUNDS && met < 3; i++) {
    const [old, young] = [`old${i}`, `young${i}`];
    for (const execId of [old, young]) await call("Exec", { execId, spec: execSpec("/bin/sleep", "1000") });
    await namespace.setLastPid(BASE);
    const first = await call("Start", { execId: old });
    await call("Kill", { execId: old, signal: 9 });
    await call("Wait", { execId: old });
    await namespace.setLastPid(BASE);
    const second = await call("Start", { execId: young });
    if (first.pid === second.pid) {
      met++;
      const fault = await faultOf("Kill", call("Kill", { execId: old, signal: 9 }));
      assert.equal(fault.code, Code.NOT_FOUND);
      assert.equal((await call("Delete", { execId: old })).exitStatus, 137);
      assert.equal((await call("Pids")).processes.filter(({ pid }) => pid === second.pid).length, 1, "it lives");
    }
    await call("Kill", { execId: young, signal: 15 });
    assert.equal((await call("Wait", { execId: young })).exitStatus, 143);
  }
  assert.equal(met, 3, "no pid came again");

  await call("Kill", { signal: 9 });
  assert.equal((await call("Wait")).exitStatus, 137);
  await call("Delete");
  await until("the delete to be told", 10_000, () => sinkOf().topics().at(-1) === "delete");
  await call("Shutdown").catch(() => undefined);
  client.close();
  await namespace.end();
  bundle.remove();
});
