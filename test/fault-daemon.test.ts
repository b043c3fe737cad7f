// containerd is killed at each numbered step of a container's and an exec's life (src/sys/gates.ts) and comes back: the life
// goes on from where it was, each start has one exit with its own status, an exec's before its container's, the output is
// whole, and nothing is left.

import assert from "node:assert/strict";
import { test } from "node:test";
import { gates } from "../src/sys/gates.ts";
import { TestContainer, type TestProcess } from "./harness/container.ts";
import { codeOf, GrpcCode } from "./harness/containerd-api.ts";
import { onlyMoor } from "./harness/difference.ts";
import type { GateName } from "./harness/gates.ts";
import { ociProcess } from "./harness/oci-spec.ts";
import { markedProcesses } from "./harness/processes.ts";
import { useScene } from "./harness/scene.ts";
import { until } from "./harness/until.ts";

const scene = useScene({ gated: true });

const INIT_STATUS = 15;
const EXEC_STATUS = 7;
const EXEC = ["/bin/sh", "-c", `trap 'exit ${EXEC_STATUS}' TERM; echo ready; while :; do sleep 0.01; done`];

const options = { args: ["/bin/payload", "signals"] };

class Life {
  container: TestContainer | undefined;
  exec: TestProcess | undefined;

  get made(): TestContainer {
    if (this.container === undefined) throw new Error("there is no container yet");
    return this.container;
  }
}

/** What a client does, step by step, and the gates that come by meanwhile. */
const steps: readonly (readonly [comesBy: RegExp, step: (life: Life) => Promise<unknown>])[] = [
  [/^(launch|create)\./, ({ made }) => made.createTask(options)],
  [
    /^(start|event)\./,
    async ({ made }) => {
      await made.init.start();
      await made.init.out.untilText(/ready/);
    },
  ],
  [
    /^exec\./,
    async (life) => {
      life.exec = life.made.prepareExec();
      await life.made.requestExec(life.exec, ociProcess(EXEC));
      await life.exec.start();
      await life.exec.out.untilText(/ready/);
    },
  ],
  [/^(kill|exec-exit)\./, ({ exec }) => exec?.kill(15).then(() => exec.wait()) ?? Promise.resolve()],
  [/^exec-delete\./, (life) => endExec(life)],
  [/^pause\./, ({ made }) => scene.api.pause(made.id)],
  [/^resume\./, ({ made }) => scene.api.resume(made.id)],
  [/^exit\./, ({ made }) => made.init.kill(15).then(() => made.init.wait())],
  [/^(delete|shutdown|remains)\./, ({ made }) => made.init.delete()],
];

/** The state of a process as containerd has it; undefined when there is none. */
async function stateOf(process: TestProcess | undefined): Promise<{ status: string; exitStatus: number } | undefined> {
  return await process?.state().catch((fault: unknown) => {
    if (codeOf(fault) === GrpcCode.NOT_FOUND) return undefined;
    throw fault;
  });
}

/** Ends and deletes it, wherever it is. One whose start is still under way, for nobody, is not to be deleted yet. */
async function endExec({ exec }: Life): Promise<void> {
  if (exec === undefined) return;
  await until("the exec to be deleted", 10_000, async () => {
    const state = await stateOf(exec);
    if (state === undefined) return true;
    if (state.status === "RUNNING") {
      await exec.out.untilText(/ready/);
      await exec.kill(15).catch(() => undefined);
    }
    if (state.status !== "CREATED") assert.equal((await exec.wait()).status, EXEC_STATUS);
    return await exec.delete().then(
      () => true,
      (fault: unknown) => {
        if (codeOf(fault) !== GrpcCode.FAILED_PRECONDITION) throw fault;
        return false;
      },
    );
  });
  exec.forget();
}

/** Whatever has been reached: on to the end. */
async function finish(life: Life): Promise<void> {
  const { init } = life.made;
  let state = await stateOf(init);
  if (state?.status === "PAUSED") await scene.api.resume(life.made.id);
  if (state?.status === "CREATED") {
    await init.start();
    state = { status: "RUNNING", exitStatus: 0 };
  }
  await endExec(life);
  if (state?.status === "RUNNING" || state?.status === "PAUSED") {
    await init.out.untilText(/ready/);
    await init.kill(15).catch(() => undefined);
  }
  if (state !== undefined) {
    assert.equal((await init.wait()).status, INIT_STATUS);
    assert.equal(await init.out.allText(), "ready\nsignal 15\n");
  }
  // Where the daemon knows of a task whose shim has no container, this clears it away.
  await init.delete().catch(() => undefined);
  init.forget();
  await scene.api.deleteContainer(life.made.id);
  await until("the shim to be gone", 10_000, () => markedProcesses(life.made.id).length === 0);
}

/**
 * The topics that containerd has passed on for the shim since then, in order, as its log has them (a subscriber may have missed
 * some). What it publishes in the name of a shim that is gone, after the binary's `delete`, is not among them.
 */
function topicsSince(length: number): string[] {
  const lines = scene.daemon.log().slice(length).split("\n");
  const forwarded = lines.filter((line) => line.includes('msg="event forwarded"'));
  return forwarded.flatMap((line) => /topic=\/tasks\/(\S+)/.exec(line)?.[1] ?? []);
}

/** Each thing happened once and in order; one event may have come twice in a row, when the way to the daemon broke just then. */
const WHOLE = /^(create (start )?(exec-added (exec-started exit )?)?(paused resumed )?exit delete )?$/;

function assertWhole(topics: readonly string[]): void {
  const text = `${topics.join(" ")} `.trimStart();
  if (WHOLE.test(text)) return;
  const once = topics.findIndex((topic, i) => {
    const without = topics.filter((_each, j) => j !== i);
    return topic === topics[i + 1] && WHOLE.test(`${without.join(" ")} `.trimStart());
  });
  assert.ok(once >= 0, text);
}

const extra: readonly GateName[] = ["pause.spawned", "pause.ended", "resume.spawned", "resume.ended"];

for (const name of [...(Object.keys(gates) as (keyof typeof gates)[]), ...extra]) {
  test(`daemon: killed at ${name}`, async (t) => {
    if (onlyMoor(t, "events-outlast-the-daemon")) return;
    const life = new Life();
    const logged = scene.daemon.log().length;
    life.container = await TestContainer.prepare(scene, options);
    for (const [comesBy, step] of steps) {
      if (!comesBy.test(name)) {
        await step(life);
        continue;
      }
      scene.gates.arm(name);
      const cut = step(life).catch(() => undefined);
      await scene.gates.reached(name);
      await scene.daemon.kill9();
      scene.gates.pass(name);
      await cut;
      break;
    }
    await scene.daemon.start();
    scene.events.subscribe(scene.api, scene.namespace);
    await finish(life);
    const topics = topicsSince(logged);
    assertWhole(topics);
    if (!topics.includes("start")) return;
    for (const { topic, processId, fields } of scene.events.of(life.made.id)) {
      if (topic !== "/tasks/exit") continue;
      assert.equal(fields["exitStatus"], processId === life.made.id ? INIT_STATUS : EXEC_STATUS, processId);
    }
  });
}
