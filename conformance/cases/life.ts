// A container's life as the daemon leads it, and what the shim says of it on the way.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Status } from "../../src/api/process.ts";
import { isAlive, processInfo } from "../../test/harness/processes.ts";
import { until } from "../../test/harness/until.ts";
import { type Case, demand, faultOf, refused, Code, same } from "../case.ts";
import type { Ground } from "../ground.ts";

/** 0001-01-01T00:00:00Z, Go's time that is none. */
const yearOne = -62_135_596_800n;

export function bindOf(ground: Ground): { type: string; source: string; target: string; options: string[] } {
  return { type: "bind", source: ground.rootfs, target: "", options: ["rbind", "rw"] };
}

export function mountsBelow(dir: string): string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return lines.map((line) => line.split(" ")[4] ?? "").filter((target) => target.startsWith(dir));
}

function cgroupDirs(ground: Ground, id: string): string[] {
  const root = "/sys/fs/cgroup";
  const tops = existsSync(join(root, "cgroup.controllers"))
    ? [root]
    : readdirSync(root).map((name) => join(root, name));
  return tops.map((top) => join(top, ground.namespace, id)).filter((dir) => existsSync(join(dir, "cgroup.procs")));
}

export const lifeCases: readonly Case[] = [
  {
    id: "life.whole",
    title: "Create to Shutdown leaves nothing",
    demand:
      "Create, Start, Kill, Wait, Delete and Shutdown are answered in that order with one pid; after Shutdown and the `delete` action no process, mount, cgroup, socket or runtime record is left.",
    why: "Shims, sockets and cgroups that stay pile up on every node until it is full.",
    source: "containerd task API (api/runtime/task/v2/shim.proto); reports containerd#12344, #11916, #10192",
    async run(ground) {
      const shim = await ground.start(["/bin/sleep", "1000"]);
      const { pid } = await shim.create();
      demand(isAlive(pid), `the pid of Create, ${pid}, is no living process`);
      same("the pid of Start", (await shim.call("Start")).pid, pid);
      await shim.call("Kill", { signal: 9 });
      same("the status of Wait", (await shim.call("Wait")).exitStatus, 137);
      same("the pid of Delete", (await shim.call("Delete")).pid, pid);
      await shim.shutdown();
      const { status, stderr } = await shim.deleteAction();
      demand(status === 0, () => `the delete action exits ${status}: ${stderr}`);
      shim.isEnded();
      shim.bundle.remove();
      await ground.demandNothingLeft("after Shutdown and delete");
    },
  },
  {
    id: "life.state",
    title: "State in each state",
    demand:
      "State tells id, bundle, pid, status (created, running, stopped), stdio paths, and the exit status at the end.",
    why: "Daemons rebuild what they know of a task from State, after each restart.",
    source: "api/runtime/task/v2/shim.proto, StateResponse; containerd's CRI plugin recovers containers with it",
    async run(ground) {
      const shim = await ground.start(["/bin/payload", "signals"]);
      const task = await shim.create({ output: "text" });
      const told = async () => {
        const { id, bundle, pid, status, stdin, stdout, stderr, terminal, exitStatus, execId } = await task.state();
        return { id, bundle, pid, status, stdin, stdout, stderr, terminal, exitStatus, execId };
      };
      const common = {
        id: shim.id,
        bundle: shim.bundle.dir,
        pid: task.pid,
        status: Status.CREATED as number,
        ...{ stdin: "", stdout: task.request.stdout, stderr: task.request.stderr, terminal: false },
        exitStatus: 0,
        execId: "",
      };
      same("State after Create", await told(), common);
      await task.start();
      same("State after Start", await told(), { ...common, status: Status.RUNNING });
      await task.out.untilText(/ready/);
      await task.kill(15);
      await task.wait();
      same("State after the exit", await told(), { ...common, status: Status.STOPPED, exitStatus: 15 });
    },
  },
  {
    id: "life.no-time-before-the-exit",
    title: "exited_at while nothing has exited",
    demand: "While there is no exit, exited_at of State is 0001-01-01T00:00:00Z.",
    why: "An absent time or 0 reads as 1970, and a client shows a running container as one that finished then.",
    source: "containerd's protobuf.ToTimestamp of a zero time; clients test it with IsZero",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      same("exited_at of a running task, in seconds", (await shim.call("State")).exitedAt?.seconds, yearOne);
    },
  },
  {
    id: "life.one-time-of-exit",
    title: "One exit, one time",
    demand: "State, Wait, Delete and the event TaskExit tell the same status and the same exited_at, which is now.",
    why: "The kubelet's and docker's finish times come from different ones of these.",
    source: "api/runtime/task/v2/shim.proto; containerd's task monitor and CRI plugin",
    async run(ground) {
      const begin = BigInt(Math.floor(Date.now() / 1000));
      const shim = await ground.run(["/bin/sh", "-c", "exit 5"]);
      const { exitStatus, exitedAt } = await shim.call("Wait");
      const event = await ground.untilEvent(shim.id, "exit");
      const state = await shim.call("State");
      const deleted = await shim.call("Delete");
      same("the status of Wait", exitStatus, 5);
      demand(
        (exitedAt?.seconds ?? 0n) >= begin && (exitedAt?.seconds ?? 0n) <= begin + 60n,
        `the time of exit is ${exitedAt?.seconds} s, and the case began at ${begin} s`,
      );
      const others = { State: state, Delete: deleted, TaskExit: event.fields };
      for (const [name, other] of Object.entries(others)) {
        const { exitStatus: status, exitedAt: time } = other as { exitStatus?: unknown; exitedAt?: unknown };
        same(`the exit as ${name} tells it`, { status, time }, { status: 5, time: exitedAt });
      }
    },
  },
  {
    id: "life.connect",
    title: "Connect tells the pids",
    demand: "Connect tells the pid of the process that serves and init's pid; before Create, init's is 0 and no error.",
    why: "A daemon that starts calls Connect of every shim first, and logs, signals or adopts by these pids.",
    source: "containerd runtime/v2/shim.go: loadShim and shimTask.PID",
    async run(ground) {
      const shim = await ground.start(["/bin/sleep", "1000"]);
      const first = await shim.call("Connect");
      same("task_pid before Create", first.taskPid, 0);
      demand(
        processInfo(first.shimPid)?.argv.some((word) => word.includes(shim.id)) === true,
        `shim_pid ${first.shimPid} is no process that runs this shim`,
      );
      const { pid } = await shim.create();
      await shim.call("Start");
      const { shimPid, taskPid } = await shim.call("Connect");
      same("Connect of a running task", { shimPid, taskPid }, { shimPid: first.shimPid, taskPid: pid });
    },
  },
  {
    id: "life.pids",
    title: "Pids lists the container's processes",
    demand:
      "Pids lists init, its children and execs; an exec's entry carries a ProcessDetails with its id, others none.",
    why: "`ctr task ps`, docker top and metrics; the daemon takes an empty list for a leaked shim.",
    source: "containerd runtime/v2/runc container.go; api/types/runc/options ProcessDetails; report containerd#13784",
    async run(ground) {
      const shim = await ground.start(["/bin/payload", "forks", "3"]);
      const init = await shim.runInit({ output: "text" });
      await init.out.untilText(/ready/);
      const exec = await shim.exec(["/bin/sleep", "1000"]);
      const { processes } = await shim.call("Pids");
      same("the number of processes", processes.length, 5);
      demand(
        processes.every(({ pid }) => isAlive(pid)),
        "a listed pid is no living process",
      );
      const ofExec = processes.find(({ pid }) => pid === exec.pid)?.info;
      demand(ofExec?.typeUrl.endsWith("containerd.runc.v1.ProcessDetails") === true, "the exec has no ProcessDetails");
      same("details of processes that are no execs", processes.filter(({ info }) => info !== undefined).length, 1);
    },
  },
  {
    id: "life.pids-of-sub-cgroups",
    title: "Pids finds processes in sub-cgroups",
    demand: "A process that was moved into a cgroup below the container's is still listed.",
    why: "systemd and others in containers make sub-cgroups; the daemon then took the shim for leaked and orphaned a running container.",
    source: "report containerd#13784",
    async run(ground) {
      const shim = await ground.start(["/bin/payload", "forks", "1"]);
      const init = await shim.runInit({ output: "text" });
      await init.out.untilText(/ready/);
      const { processes } = await shim.call("Pids");
      const moved = processes.map(({ pid }) => pid);
      const subs = cgroupDirs(ground, shim.id).map((dir) => join(dir, "below"));
      demand(subs.length > 0, "the container has no cgroup of the path in its config.json");
      for (const sub of subs) {
        mkdirSync(sub);
        // cpuset's (version 1) takes no process before it has these.
        for (const name of ["cpuset.cpus", "cpuset.mems"]) {
          const file = join(sub, name);
          if (existsSync(file)) writeFileSync(file, readFileSync(join(sub, "..", name)));
        }
        for (const pid of moved) writeFileSync(join(sub, "cgroup.procs"), String(pid));
      }
      const after = await shim.call("Pids");
      same(
        "the processes after they were moved",
        after.processes.map(({ pid }) => pid).sort((a, b) => a - b),
        moved.sort((a, b) => a - b),
      );
      await init.kill(9);
      await init.wait();
      for (const sub of subs) await until(`${sub} to be empty`, 3_000, () => removeOf(sub));
    },
  },
  {
    id: "life.pids-of-the-stopped",
    title: "Pids of a stopped task is not empty",
    demand: "From the exit to Delete, Pids answers init's pid; after Delete it is empty or NotFound.",
    why: "containerd 1.7 to 2.2 throw a task away at their start whose Pids is empty or an error, and its exit status with it; CRI then shows 255.",
    source: "containerd 1.7 runtime/v2/manager.go, 2.x core/runtime/v2/shim_load.go: tasks without pids are cleaned up",
    async run(ground) {
      const shim = await ground.start(["/bin/true"]);
      const { pid } = await shim.create();
      await shim.call("Start");
      await shim.call("Wait");
      const pids = (await shim.call("Pids")).processes.map((info) => info.pid);
      same("Pids after the exit", pids, [pid]);
      await shim.call("Delete");
      const late = await shim.call("Pids").catch(() => undefined);
      demand(late === undefined || late.processes.length === 0, "Pids after Delete still tells processes");
    },
  },
  {
    id: "life.rootfs-mounts",
    title: "The rootfs is mounted and unmounted",
    demand:
      "The mounts of Create are made at the bundle's rootfs, the container runs from them, and Delete undoes them.",
    why: "Snapshots cannot be removed while they are mounted.",
    source: "api/runtime/task/v2/shim.proto, CreateTaskRequest.rootfs; report containerd#768",
    async run(ground) {
      const shim = await ground.start(["/bin/sh", "-c", "exit 9"], (spec) => {
        spec.root.path = "rootfs";
      });
      await shim.create({}, { rootfs: [bindOf(ground)] });
      same("the mounts after Create", mountsBelow(shim.bundle.dir), [join(shim.bundle.dir, "rootfs")]);
      await shim.call("Start");
      same("the status of the container", (await shim.call("Wait")).exitStatus, 9);
      await shim.call("Delete");
      same("the mounts after Delete", mountsBelow(shim.bundle.dir), []);
    },
  },
  {
    id: "life.failed-create-undoes-mounts",
    title: "A Create that fails undoes its mounts",
    demand:
      "When the second mount or the runtime fails, the first mount is gone again, State is NotFound, and the id can be created.",
    why: "A snapshot that stays mounted after a failed start cannot be removed; the pod is stuck.",
    source: "containerd runtime/v2/runc/container.go unmounts on error",
    async run(ground) {
      const shim = await ground.start(["/bin/sleep", "1000"], (spec) => {
        spec.root.path = "rootfs";
      });
      const none = { type: "no-such-type", source: "nothing", target: "", options: [] };
      await faultOf("Create with a mount of no type", shim.create({}, { rootfs: [bindOf(ground), none] }));
      same("the mounts after a failed Create", mountsBelow(shim.bundle.dir), []);
      await refused("State after a failed Create", shim.call("State"), Code.NOT_FOUND);
      await shim.create({}, { rootfs: [bindOf(ground)] });
    },
  },
  {
    id: "life.two-in-one",
    title: "Two containers of a pod in one shim",
    demand: "Containers of one group live in one shim; the end and Delete of one leaves the other as it was.",
    why: "A pod's containers come and go one by one.",
    source: "containerd runtime/v2/README.md, shim grouping",
    async run(ground) {
      const inPod = ground.pod();
      const first = await ground.start(["/bin/sleep", "1000"], inPod);
      await first.create();
      await first.call("Start");
      const second = await first.join(["/bin/sh", "-c", "exit 3"], inPod);
      await second.create();
      await second.call("Start");
      same("the status of the second", (await second.call("Wait")).exitStatus, 3);
      await second.call("Delete");
      await second.call("Shutdown").catch(() => undefined);
      same("State of the first", (await first.call("State")).status, Status.RUNNING);
      const pids = (await first.call("Pids")).processes;
      same("the number of the first's processes", pids.length, 1);
    },
  },
  {
    id: "life.wait-is-held",
    title: "Wait waits",
    demand: "Wait of a running container is answered when it exits, and not before.",
    why: "Everything that waits for a container's end rests on it.",
    source: "api/runtime/task/v2/shim.proto",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      let isAnswered = false;
      const waiting = shim.call("Wait").then((answer) => {
        isAnswered = true;
        return answer;
      });
      for (let i = 0; i < 20; i++) await shim.call("State");
      demand(!isAnswered, "Wait is answered while the container runs");
      await shim.call("Kill", { signal: 9 });
      same("the status", (await waiting).exitStatus, 137);
    },
  },
];

function removeOf(dir: string): boolean {
  try {
    rmdirSync(dir);
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "ENOENT";
  }
  return true;
}
