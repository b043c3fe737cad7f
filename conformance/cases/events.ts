// Events: what is told to the daemon, in which order, and what becomes of it while the daemon is away.

import type { OciSpec } from "../../test/harness/oci-spec.ts";
import { StatusError } from "../../test/harness/raw-ttrpc.ts";
import { until } from "../../test/harness/until.ts";
import { Code, type Case, demand, same } from "../case.ts";
import type { Ground, SpecChange } from "../ground.ts";

const mib = 1 << 20;

function limited(spec: OciSpec): void {
  spec.linux.resources["memory"] = { limit: 8 * mib, swap: 8 * mib };
}

async function racingExecs(ground: Ground, change: SpecChange | undefined): Promise<void> {
  const count = 12;
  const shim = await ground.run(["/bin/sleep", "1000"], change);
  await Promise.all(Array.from({ length: count }, () => shim.exec(["/bin/sleep", "1000"])));
  await shim.call("Kill", { signal: 9 });
  same("the status of init", (await shim.call("Wait")).exitStatus, 137);
  await ground.untilEvent(shim.id, "exit", shim.id);
  await until(
    "an exit event of each exec",
    5_000,
    () => ground.topicsOf(shim.id).filter((topic) => topic === "exit").length > count,
    () => `${ground.topicsOf(shim.id).filter((topic) => topic === "exit").length} exits came`,
  );
  const exits = ground.sink.events.filter(
    ({ topic, containerId }) => topic === "/tasks/exit" && containerId === shim.id,
  );
  const order = exits.map(({ processId }) => processId);
  same("the number of processes with an exit event", new Set(order).size, order.length);
  const late = order.length - 1 - order.indexOf(shim.id);
  demand(late === 0, `${late} of ${count} execs' exits come after their container's`);
}

export const eventCases: readonly Case[] = [
  {
    id: "events.order",
    title: "Each event once, in order",
    demand: "A life with an exec is told as create, start, exec-added, exec-started, exit, exit, delete: each once.",
    why: "Daemons keep their view of a task by events; a missing or doubled one leaves it wrong for good.",
    source: "containerd api/events/task.proto; CRI's event monitor",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const exec = await shim.exec(["/bin/sh", "-c", "exit 3"]);
      await exec.wait();
      await exec.delete();
      await shim.call("Kill", { signal: 9 });
      await shim.call("Wait");
      await shim.call("Delete");
      await ground.untilEvent(shim.id, "delete");
      const wanted = ["create", "start", "exec-added", "exec-started", "exit", "exit", "delete"];
      same("the order of events", ground.topicsOf(shim.id), wanted);
    },
  },
  {
    id: "events.fields",
    title: "What the events say",
    demand:
      "TaskCreate has bundle, streams and pid; TaskStart and TaskExecStarted the pids; TaskExit the process's id, pid and status.",
    why: "CRI tells an exec's exit from its container's by the id in TaskExit.",
    source: "containerd api/events/task.proto; CRI plugin handleEvent",
    async run(ground) {
      const shim = await ground.start(["/bin/sleep", "1000"]);
      const init = await shim.create({ output: "text" });
      await init.start();
      const exec = await shim.exec(["/bin/sh", "-c", "exit 3"]);
      await exec.wait();
      await init.kill(9);
      await init.wait();
      await shim.call("Delete");
      await ground.untilEvent(shim.id, "delete");
      const of = (topic: string, at = 0): Record<string, unknown> =>
        ground.sink.events.filter((event) => event.topic === `/tasks/${topic}`)[at]?.fields ?? {};
      const { stdin, stdout, stderr, terminal } = init.request;
      const create = of("create");
      same("TaskCreate.bundle", create["bundle"], shim.bundle.dir);
      same("TaskCreate.pid", create["pid"], init.pid);
      same("TaskCreate.io", create["io"], { stdin, stdout, stderr, terminal });
      same("TaskStart.pid", of("start")["pid"], init.pid);
      same("TaskExecAdded.exec_id", of("exec-added")["execId"], exec.execId);
      const { execId, pid } = of("exec-started");
      same("TaskExecStarted", { execId, pid }, { execId: exec.execId, pid: exec.pid });
      const exit = (at: number): object => {
        const { id, pid: exited, exitStatus } = of("exit", at);
        return { id, pid: exited, exitStatus };
      };
      same("the exec's TaskExit", exit(0), { id: exec.execId, pid: exec.pid, exitStatus: 3 });
      same("the container's TaskExit", exit(1), { id: shim.id, pid: init.pid, exitStatus: 137 });
      const deleted = of("delete");
      same("TaskDelete", [deleted["pid"], deleted["exitStatus"]], [init.pid, 137]);
    },
  },
  {
    id: "events.envelope",
    title: "The envelope around an event",
    demand: "Each has a timestamp, the namespace, a topic that begins with /tasks/, and an Any of containerd.events.*.",
    why: "The daemon refuses an event without them.",
    source: "containerd core/events/exchange: validateEnvelope",
    async run(ground) {
      const shim = await ground.run(["/bin/true"]);
      await shim.call("Wait");
      await ground.untilEvent(shim.id, "exit");
      for (const { timestamp, namespace, topic, event } of ground.sink.envelopes) {
        demand((timestamp?.seconds ?? 0n) > 1_600_000_000n, `${topic} has no timestamp of now`);
        same(`the namespace of ${topic}`, namespace, ground.namespace);
        demand(topic.startsWith("/tasks/"), `a topic is ${topic}`);
        demand(event?.typeUrl.startsWith("containerd.events.Task") === true, `${topic} has type ${event?.typeUrl}`);
      }
    },
  },
  {
    id: "events.pause",
    title: "paused and resumed",
    demand: "Pause and Resume that succeed are told by TaskPaused and TaskResumed.",
    why: "Docker shows a container as paused by these.",
    source: "containerd api/events/task.proto",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      await shim.call("Pause");
      await ground.untilEvent(shim.id, "paused");
      await shim.call("Resume");
      await ground.untilEvent(shim.id, "resumed");
    },
  },
  {
    id: "events.oom",
    title: "Out of memory",
    demand: "A container in which a process meets the memory limit is told by TaskOOM; the process's status is 137.",
    why: '"OOMKilled" in Kubernetes is made of it; without it a limit that is too low looks like a crash.',
    source: "containerd api/events/task.proto; CRI plugin handleEvent of TaskOOM",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"], limited);
      const exec = await shim.exec(["/bin/payload", "memory", "64"]);
      same("the status", (await exec.wait()).exitStatus, 137);
      await ground.untilEvent(shim.id, "oom");
    },
  },
  {
    id: "events.oom-at-once",
    title: "Out of memory as soon as it starts",
    demand: "The same of inits that meet the limit in their first milliseconds: of eight, each is told.",
    why: "Programs that reserve their memory at the start are those that meet a limit that is too low.",
    source: "the notice must be asked for before the start; CRI plugin handleEvent of TaskOOM",
    async run(ground) {
      const missing: string[] = [];
      for (let round = 0; round < 8; round++) {
        const shim = await ground.run(["/bin/payload", "memory", "64"], limited);
        same("the status", (await shim.call("Wait")).exitStatus, 137);
        await ground.untilEvent(shim.id, "oom", undefined, 2_000).catch(() => missing.push(shim.id));
        await shim.end();
      }
      demand(missing.length === 0, `of 8 containers ${missing.length} had no TaskOOM`);
    },
  },
  {
    id: "events.execs-before-init",
    title: "Execs' exits come before their container's",
    demand: "When init is killed with 12 execs running, each exec's exit is told once, and init's last.",
    why: "After init's exit the daemon tears the container down: an exec's exit that comes later is lost, and who waits for it hangs.",
    source: "reports containerd#9719, #10589, #10603, #10651",
    run: (ground) => racingExecs(ground, undefined),
  },
  {
    id: "events.execs-before-init-in-hosts-pid-namespace",
    title: "The same without a pid namespace of its own",
    demand: "The same in a container in the host's pid namespace, where the kernel does not end the execs with init.",
    why: "Pods with hostPID, and pods whose containers share one pid namespace.",
    source: "reports containerd#9719, #10589, #10603",
    run: (ground) =>
      racingExecs(ground, (spec) => {
        spec.linux.namespaces = spec.linux.namespaces.filter(({ type }) => type !== "pid");
      }),
  },
  {
    id: "events.daemon-restarts",
    title: "The daemon is away for 3 s",
    demand: "What happens while nobody listens at TTRPC_ADDRESS is told once the daemon is back, in order.",
    why: "Daemons are restarted while containers end.",
    source: "reports containerd#6771, #12600",
    async run(ground) {
      await awayFor(ground, 3_000);
    },
  },
  {
    id: "events.daemon-away-for-minutes",
    title: "The daemon is away for two minutes",
    demand: "The same after 120 s.",
    why: "A daemon that does not come up at once: the exit was dropped after some tries, and the task stayed for ever.",
    source: "reports containerd#6771, #12600",
    limitMs: 150_000,
    isSlow: true,
    async run(ground) {
      await awayFor(ground, 120_000);
    },
  },
  {
    id: "events.refused-one",
    title: "An event that the daemon refuses",
    demand: "An event that is refused as invalid holds up none of those behind it.",
    why: "One bad event must not cost the exits behind it.",
    source: "containerd core/events/exchange answers InvalidArgument; robustness",
    async run(ground) {
      ground.sink.onForward = ({ topic }) => {
        if (topic === "/tasks/start") throw new StatusError(Code.INVALID_ARGUMENT, "not this one");
      };
      const shim = await ground.run(["/bin/true"]);
      await shim.call("Wait");
      await ground.untilEvent(shim.id, "exit");
    },
  },
  {
    id: "events.failed-create",
    title: "A failed Create is not told",
    demand: "Of a container whose Create failed there is neither TaskCreate nor TaskStart nor TaskExit.",
    why: "A daemon would wait for a delete that never comes.",
    source: "containerd runc shim: events are sent after success",
    async run(ground) {
      const shim = await ground.start(["/bin/true"], (spec) => {
        spec.root.path = "/nowhere/at/all";
      });
      const failed = await shim.create().then(
        () => false,
        () => true,
      );
      demand(failed, "Create succeeds without a root file system");
      const other = await ground.run(["/bin/true"]);
      await other.call("Wait");
      await ground.untilEvent(other.id, "exit");
      same("the events of the failed one", ground.topicsOf(shim.id), []);
    },
  },
];

/** A container ends while nobody listens; then the daemon is back. */
async function awayFor(ground: Ground, ms: number): Promise<void> {
  const shim = await ground.run(["/bin/sleep", "1000"]);
  await ground.untilEvent(shim.id, "start");
  await ground.sink.close();
  const back = performance.now() + ms;
  await shim.call("Kill", { signal: 9 });
  same("the status", (await shim.call("Wait")).exitStatus, 137);
  await shim.call("Delete");
  await until("the daemon to be back", ms + 1_000, () => performance.now() > back);
  await ground.sink.open();
  await ground.untilEvent(shim.id, "delete");
  same("the order of events", ground.topicsOf(shim.id), ["create", "start", "exit", "delete"]);
}
