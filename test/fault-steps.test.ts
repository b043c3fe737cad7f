// The shim is killed at each numbered step of a container's and an exec's life (src/sys/gates.ts), and then its binary's
// `delete` runs: it tells how init ended, which is what the kernel says, nothing is left, and what the daemon was told until
// then is the beginning of what happened, in order.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { gates } from "../src/sys/gates.ts";
import { DirectShim, shimAction, TestBundle } from "./harness/direct-shim.ts";
import { onlyMoor } from "./harness/difference.ts";
import type { SeenEvent } from "./harness/event-log.ts";
import { ExitOracle } from "./harness/exit-oracle.ts";
import {
  deleteRemains,
  execSpec,
  fifoReader,
  nothingIsLeft,
  ownRootfs,
  useFaultScene,
  withMount,
} from "./harness/fault-scene.ts";
import { type GateName, Gates, gatedShimPath } from "./harness/gates.ts";
import { shimSocketPath } from "./harness/leaks.ts";
import { isAlive, markedProcesses } from "./harness/processes.ts";
import { until } from "./harness/until.ts";

const { scene, sink: sinkOf } = useFaultScene();

const INIT_STATUS = 15;
const EXEC_STATUS = 7;
const KILLED = 137;
const WHOLE_OUTPUT = "ready\nsignal 15\n";
const EXEC = ["/bin/sh", "-c", `trap 'exit ${EXEC_STATUS}' TERM; echo ready; while :; do sleep 0.01; done`];

/** A life under way. */
interface Life {
  readonly shim: DirectShim;
  readonly out: ReturnType<typeof fifoReader>;
  readonly execOut: ReturnType<typeof fifoReader>;
  readonly oracles: Map<string, { pid: number; oracle: ExitOracle }>;
}

async function watch(life: Life, name: string, pid: number): Promise<void> {
  life.oracles.set(name, { pid, oracle: await ExitOracle.hold(scene, [pid]) });
}

/** The steps that a client takes, each with the gates that come by in it. */
const steps: readonly (readonly [name: string, gates: RegExp, step: (life: Life) => Promise<void>])[] = [
  [
    "Create",
    /^create\./,
    async (life) => {
      const { pid } = await life.shim.create({ ...withMount(scene), stdout: life.out.path });
      await watch(life, "init", pid);
    },
  ],
  [
    "Start",
    /^(start|event)\./,
    async ({ shim, out }) => {
      await shim.call("Start");
      await out.fifo.untilText(/ready/);
    },
  ],
  [
    "Exec",
    /^exec\.added/,
    async ({ shim, execOut }) => {
      await shim.call("Exec", { execId: "e", stdout: execOut.path, spec: execSpec(...EXEC) });
    },
  ],
  [
    "Start of the exec",
    /^exec\./,
    async (life) => {
      const { pid } = await life.shim.call("Start", { execId: "e" });
      await life.execOut.fifo.untilText(/ready/);
      await watch(life, "exec", pid);
    },
  ],
  [
    "end of the exec",
    /^(kill|exec-exit)\./,
    async ({ shim }) => {
      await shim.call("Kill", { execId: "e", signal: 15 });
      assert.equal((await shim.call("Wait", { execId: "e" })).exitStatus, EXEC_STATUS);
    },
  ],
  ["Delete of the exec", /^exec-delete\./, async ({ shim }) => void (await shim.call("Delete", { execId: "e" }))],
  ["Pause", /^pause\./, async ({ shim }) => void (await shim.call("Pause"))],
  ["Resume", /^resume\./, async ({ shim }) => void (await shim.call("Resume"))],
  [
    "end of init",
    /^exit\./,
    async ({ shim }) => {
      await shim.call("Kill", { signal: 15 });
      assert.equal((await shim.call("Wait")).exitStatus, INIT_STATUS);
    },
  ],
  ["Delete", /^delete\./, async ({ shim }) => void (await shim.call("Delete"))],
  ["Shutdown", /^shutdown\./, async ({ shim }) => void (await shim.call("Shutdown"))],
];

const happened = ["create", "start", "exec-added", "exec-started", "exit", "paused", "resumed", "exit", "delete"];
const names = Object.keys(gates) as (keyof typeof gates)[];
const extra: readonly GateName[] = ["pause.spawned", "pause.ended", "resume.spawned", "resume.ended"];
/** From here on the record of init's exit is in the bundle. */
const recorded = names.slice(names.indexOf("exit.recorded")).filter((name) => !name.startsWith("event."));
/** From here on all output is where its reader finds it. */
const drained = recorded.slice(recorded.indexOf("exit.drained"));

let count = 0;
function stopsOf(): Gates {
  return new Gates(join(scene.dir, `gates-${count++}`));
}

async function killed(pid: number): Promise<void> {
  process.kill(pid, "SIGKILL");
  await until("the killed process to be gone", 5_000, () => !isAlive(pid));
}

/** What was told is a beginning of what happened; at most one event twice, when the way to the daemon broke just then. */
function assertBeginning(events: readonly SeenEvent[]): void {
  const topics = events.map(({ topic }) => topic.replace("/tasks/", ""));
  assert.deepEqual(topics, happened.slice(0, topics.length));
}

// Most of the time goes into waiting for the machine's init to reap what a dead shim has left.
suite("steps", { concurrency: 4 }, () => {
  for (const name of [...names.filter((each) => !/^(launch|remains)\./.test(each)), ...extra]) {
    test(`steps: the shim is killed at ${name}`, async (t) => {
      if (onlyMoor(t, "delete-knows-the-status")) return;
      const stops = stopsOf();
      const bundle = new TestBundle(scene, ["/bin/payload", "signals"], ownRootfs);
      const shim = await DirectShim.startIn(scene, bundle, { environment: stops.environment, shim: gatedShimPath() });
      const shimPid = await shim.shimPid();
      const life: Life = {
        shim,
        out: fifoReader(scene, `${shim.id}.out`, true),
        execOut: fifoReader(scene, `${shim.id}.exec`, true),
        oracles: new Map(),
      };
      for (const [, comesBy, step] of steps) {
        if (!comesBy.test(name)) {
          await step(life);
          continue;
        }
        stops.arm(name);
        const cut = step(life).catch(() => undefined);
        assert.equal(await stops.reached(name), shimPid);
        await killed(shimPid);
        await cut;
        break;
      }
      if (/^shutdown\.(unlinked|settled|left)$/.test(name)) assert.equal(existsSync(shim.socketPath), false);
      const answer = await deleteRemains(scene, shim);
      await nothingIsLeft(scene, shim);
      const events = sinkOf().events.filter(({ containerId }) => containerId === shim.id);
      assertBeginning(events);
      const init = life.oracles.get("init");
      const truth = init === undefined ? KILLED : ((await init.oracle.statusOf(init.pid)) ?? answer.exitStatus);
      // The one step at which nobody can know: it has ended, and the shim had no time to write it down.
      if (name === "exit.seen") assert.deepEqual([truth, answer.exitStatus], [INIT_STATUS, KILLED]);
      else assert.equal(answer.exitStatus, truth, "what delete tells is what the kernel says");
      if (recorded.includes(name as keyof typeof gates)) assert.equal(answer.exitStatus, INIT_STATUS);
      if (drained.includes(name as keyof typeof gates)) assert.equal(await life.out.fifo.allText(), WHOLE_OUTPUT);
      for (const { topic, fields } of events.filter((event) => event.topic === "/tasks/exit")) {
        const of = [...life.oracles.values()].find(({ pid }) => pid === fields["pid"]);
        const said = await of?.oracle.statusOf(of.pid);
        if (said !== undefined) assert.equal(fields["exitStatus"], said, topic);
      }
      // Once more does no harm and says the same.
      assert.equal((await deleteRemains(scene, shim)).exitStatus, answer.exitStatus);
      for (const { oracle } of life.oracles.values()) oracle.close();
      shim.client.close();
      life.out.remove();
      life.execOut.remove();
      bundle.remove();
    });
  }

  for (const name of names.filter((each) => each.startsWith("launch."))) {
    test(`steps: start is killed at ${name}`, async (t) => {
      if (onlyMoor(t, "delete-knows-the-status")) return;
      const stops = stopsOf();
      const bundle = new TestBundle(scene, ["/bin/sleep", "1000"], ownRootfs);
      stops.arm(name);
      const options = { environment: stops.environment, shim: gatedShimPath() };
      const starting = shimAction(scene, bundle, ["start"], options);
      await killed(await stops.reached(name));
      const result = await starting;
      const socketPath = shimSocketPath(scene.daemon.address, scene.namespace, bundle.id);
      if (name === "launch.ready" || name === "launch.serving") {
        assert.equal(result.status, 0, "the parent had its word");
      } else if (name === "launch.answering") {
        // The shim is well, and nobody knows of it: it goes by itself after a while (idle-watch.ts), or when it is told to.
        const [orphan] = markedProcesses(bundle.id);
        assert.ok(orphan !== undefined && existsSync(socketPath));
        process.kill(orphan.pid, "SIGTERM");
        await until("the empty shim to go", 5_000, () => !isAlive(orphan.pid));
      } else assert.notEqual(result.status, 0);
      await deleteRemains(scene, { bundle });
      await nothingIsLeft(scene, { id: bundle.id, socketPath });
      // What is left in the socket's folder, its lock above all, keeps nobody from starting it again.
      const shim = await DirectShim.startIn(scene, bundle);
      assert.equal(shim.socketPath, socketPath);
      await shim.end(scene);
    });
  }

  for (const name of names.filter((each) => each.startsWith("remains."))) {
    test(`steps: delete itself is killed at ${name}, and the next one does the rest and says the same`, async (t) => {
      if (onlyMoor(t, "delete-knows-the-status")) return;
      const stops = stopsOf();
      const shim = await DirectShim.start(scene, ["/bin/payload", "signals"], ownRootfs);
      const out = fifoReader(scene, `${shim.id}.out`, true);
      await shim.create({ ...withMount(scene), stdout: out.path });
      await shim.call("Start");
      await out.fifo.untilText(/ready/);
      await shim.call("Kill", { signal: 15 });
      assert.equal((await shim.call("Wait")).exitStatus, INIT_STATUS);
      await killed(await shim.shimPid());
      stops.arm(name);
      const deleting = shimAction(scene, shim.bundle, ["-bundle", shim.bundle.dir, "delete"], {
        environment: stops.environment,
        shim: gatedShimPath(),
      });
      await killed(await stops.reached(name));
      await deleting;
      assert.equal((await deleteRemains(scene, shim)).exitStatus, INIT_STATUS);
      await nothingIsLeft(scene, shim);
      shim.client.close();
      out.remove();
      shim.bundle.remove();
    });
  }
});
