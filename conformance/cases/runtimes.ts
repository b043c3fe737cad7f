// The OCI runtime behind the shim: one that fails, floods, hangs, or is not there, and what it is called with.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Options } from "../../src/api/runc-options.ts";
import { Status } from "../../src/api/process.ts";
import { findInPath } from "../../test/harness/repository.ts";
import { isAlive } from "../../test/harness/processes.ts";
import { until } from "../../test/harness/until.ts";
import { type Case, Code, demand, doesNotApply, faultOf, refused, same, shorten } from "../case.ts";
import type { Ground } from "../ground.ts";
import { demandServes, type Shim } from "../shim.ts";

interface AnyMessage {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

function runcOptions(change: Partial<Options>): AnyMessage {
  const value = Options.encode({ ...Options.decode(new Uint8Array()), ...change }).finish();
  return { typeUrl: "containerd.runc.v1.Options", value };
}

/** A runtime of the case's own: a script in whose place runc can be called. It marks that it was called. */
class OwnRuntime {
  readonly options: AnyMessage;
  readonly #called: string;

  /** @param body is run for `command`; every other goes to runc. */
  constructor(ground: Ground, command: string, body: string) {
    const dir = join(ground.dir, "runtime");
    mkdirSync(dir);
    this.#called = join(dir, "called");
    const program = join(dir, "runtime");
    const runc = findInPath("runc") ?? "runc";
    const lines = [
      "#!/bin/sh",
      `echo "$$ $*" >> ${this.#called}`,
      `case " $* " in *" ${command} "*) ;; *) exec ${runc} "$@" ;; esac`,
      body.replaceAll("RUNC", runc),
      "",
    ];
    writeFileSync(program, lines.join("\n"), { mode: 0o755 });
    this.options = runcOptions({ binaryName: program });
  }

  /** Lines "PID ARGUMENTS" of the calls so far. */
  calls(): string[] {
    return existsSync(this.#called) ? readFileSync(this.#called, "utf8").trim().split("\n") : [];
  }

  /** @throws NotApplicable when the shim has not called this runtime. */
  demandCalled(): void {
    if (this.calls().length === 0) doesNotApply("it does not call the runtime that binary_name of the options names");
  }

  async pidOf(command: string): Promise<number> {
    const line = await until(`the runtime to be called with ${command}`, 5_000, () =>
      this.calls().find((call) => ` ${call} `.includes(` ${command} `)),
    );
    return Number(line.split(" ")[0]);
  }
}

/** A runtime that stands still until its process is killed. */
const standStill = "exec sleep 1000";

/** Kills what stands still, so that the case can end. */
function endLater(ground: Ground, pid: number): void {
  ground.onClose(() => {
    if (isAlive(pid)) process.kill(pid, "SIGKILL");
  });
}

async function createWith(shim: Shim, options: AnyMessage): Promise<void> {
  await shim.create({}, { options });
}

export const runtimeCases: readonly Case[] = [
  {
    id: "runtime.fails",
    title: "The runtime's own words",
    demand:
      "When the runtime's create fails, Create's error holds the message of its log, State is NotFound, and the shim serves on.",
    why: "It is all that a user gets to see of the cause.",
    source: "containerd go-runc: the last error of the log; moby reads the text",
    async run(ground) {
      const script = [
        "log=",
        'while [ $# -gt 0 ]; do [ "$1" = --log ] && log=$2; shift; done',
        `echo '{"level":"error","msg":"the moon is in the wrong phase","time":"2026-01-01T00:00:00Z"}' >> "$log"`,
        "exit 1",
      ].join("\n");
      const runtime = new OwnRuntime(ground, "create", script);
      const shim = await ground.start(["/bin/true"]);
      const fault = await faultOf("Create with a runtime that fails", createWith(shim, runtime.options));
      runtime.demandCalled();
      demand(/the moon is in the wrong phase/.test(fault.message), () => `the error is "${shorten(fault.message)}"`);
      await refused("State after a failed Create", shim.call("State"), Code.NOT_FOUND);
      await demandServes(shim, "a runtime that failed");
    },
  },
  {
    id: "runtime.missing",
    title: "A runtime that is not there",
    demand: "Create is refused, and the shim serves on.",
    why: "A wrong path in the daemon's configuration.",
    source: "robustness",
    async run(ground) {
      const shim = await ground.start(["/bin/true"]);
      const missing = runcOptions({ binaryName: "/no/such/runtime" });
      await faultOf("Create with a runtime that is not there", createWith(shim, missing));
      await demandServes(shim, "a runtime that is missing");
      await createWith(shim, runcOptions({}));
    },
  },
  {
    id: "runtime.floods",
    title: "A runtime that prints a megabyte",
    demand:
      "A runtime that prints 1 MiB on either stream and fails is answered within 10 s with an error of at most 64 KiB.",
    why: "A pipe that nobody empties hung the shim for ever.",
    source: "reports containerd#4434, runc#2530",
    async run(ground) {
      const flood = "head -c 1048576 /dev/zero | tr '\\0' x; head -c 1048576 /dev/zero | tr '\\0' y >&2; exit 1";
      const runtime = new OwnRuntime(ground, "create", flood);
      const shim = await ground.start(["/bin/true"]);
      const fault = await faultOf("Create with a runtime that floods", createWith(shim, runtime.options));
      runtime.demandCalled();
      demand(fault.message.length <= 65_536, `the error has ${fault.message.length} characters`);
      await demandServes(shim, "a runtime that floods");
    },
  },
  {
    id: "runtime.hangs-beside-others",
    title: "A runtime that hangs holds up no other container",
    demand:
      "While the runtime hangs in one container's create, another container of the shim can be asked, killed, awaited and deleted.",
    why: "One hung call blocked a whole pod, and the kubelet with it.",
    source: "reports containerd#2438, #13183, #14081",
    async run(ground) {
      const inPod = ground.pod();
      const first = await ground.run(["/bin/sleep", "1000"], inPod);
      const runtime = new OwnRuntime(ground, "create", standStill);
      const second = await first.join(["/bin/true"], inPod);
      const hanging = createWith(second, runtime.options);
      hanging.catch(() => undefined);
      endLater(ground, await pidOrNone(runtime, "create"));
      const quick = { deadlineMs: 3_000 };
      same("State of the other", (await first.call("State", {}, quick)).status, Status.RUNNING);
      await first.call("Pids", {}, quick);
      await first.call("Kill", { signal: 9 }, quick);
      same("the status of the other", (await first.call("Wait", {}, quick)).exitStatus, 137);
      await first.call("Delete", {}, quick);
      process.kill(await runtime.pidOf("create"), "SIGKILL");
      await faultOf("Create whose runtime was killed", hanging);
    },
  },
  {
    id: "runtime.hangs-beside-the-same",
    title: "A runtime that hangs in an exec",
    demand: "While the runtime hangs in an exec's start, State, Pids and Kill of the same container answer within 3 s.",
    why: "The container cannot be looked at or ended otherwise: a pod that terminates for days.",
    source: "reports containerd#2438, #14081, #10891",
    async run(ground) {
      const runtime = new OwnRuntime(ground, "exec", standStill);
      const shim = await ground.start(["/bin/sleep", "1000"]);
      await createWith(shim, runtime.options);
      await shim.call("Start");
      runtime.demandCalled();
      const exec = await shim.addExec(["/bin/true"]);
      const hanging = exec.start();
      hanging.catch(() => undefined);
      const pid = await runtime.pidOf("exec");
      endLater(ground, pid);
      const quick = { deadlineMs: 3_000 };
      await shim.call("State", {}, quick);
      await shim.call("Pids", {}, quick);
      await shim.call("Kill", { signal: 9 }, quick);
      process.kill(pid, "SIGKILL");
      await faultOf("Start of an exec whose runtime was killed", hanging);
      same("the status", (await shim.call("Wait")).exitStatus, 137);
    },
  },
  {
    id: "runtime.hangs-for-ever",
    title: "A runtime that never ends",
    demand: "A Create whose runtime hangs is answered with an error within 150 s, and the runtime's process is gone.",
    why: "Nobody else gives up: the request, its goroutine and the process stay for ever.",
    source: "reports containerd#14081, #4177",
    isSlow: true,
    limitMs: 170_000,
    async run(ground) {
      const runtime = new OwnRuntime(ground, "create", standStill);
      const shim = await ground.start(["/bin/true"]);
      const hanging = shim.call(
        "Create",
        { bundle: shim.bundle.dir, options: runtime.options },
        { deadlineMs: 150_000 },
      );
      hanging.catch(() => undefined);
      const pid = await pidOrNone(runtime, "create");
      endLater(ground, pid);
      const fault = await faultOf("Create whose runtime hangs", hanging);
      same("the code", fault.code, Code.DEADLINE_EXCEEDED);
      await until("the runtime to be gone", 5_000, () => !isAlive(pid));
    },
  },
  {
    id: "runtime.environment",
    title: "What the runtime does not inherit",
    demand: "The daemon's NOTIFY_SOCKET does not reach the runtime.",
    why: "With NOTIFY_SOCKET `runc start` waits for a message of the container's that never comes.",
    source: "containerd's unit is Type=notify; runc notify_socket.go; containerd runtime/v2/shim unsets it",
    async run(ground) {
      const told = join(ground.dir, "environment");
      const runtime = new OwnRuntime(ground, "create", `env > ${told}\nexec RUNC "$@"`);
      const environment = { NOTIFY_SOCKET: "/nowhere" };
      const shim = await ground.startIn(ground.bundle(["/bin/true"]), { environment });
      await createWith(shim, runtime.options);
      runtime.demandCalled();
      const names = readFileSync(told, "utf8")
        .split("\n")
        .map((line) => line.split("=")[0] ?? "");
      const leaked = names.filter((name) => name === "NOTIFY_SOCKET");
      same("the variables that reach the runtime", leaked, []);
    },
  },
  {
    id: "runtime.root",
    title: "Where the runtime's records are",
    demand: "The runtime's root is /run/containerd/runc/NAMESPACE, or the option's root with the namespace below it.",
    why: "`runc --root ... list`, and the next version's `delete`, look there.",
    source: "containerd runc shim: process.RuncRoot",
    async run(ground) {
      const usual = await ground.start(["/bin/sleep", "1000"]);
      await usual.create();
      const record = join("/run/containerd/runc", ground.namespace, usual.id);
      if (!existsSync(record)) doesNotApply("its runtime keeps no record under /run/containerd/runc");
      const root = join(ground.dir, "root-of-runtime");
      const other = await ground.start(["/bin/sleep", "1000"]);
      await createWith(other, runcOptions({ root }));
      demand(existsSync(join(root, ground.namespace, other.id)), "the option root is not used");
      await other.end();
    },
  },
];

/** The pid of the runtime's call. @throws NotApplicable when the shim calls another runtime. */
async function pidOrNone(runtime: OwnRuntime, command: string): Promise<number> {
  return await runtime.pidOf(command).catch(() => {
    runtime.demandCalled();
    throw new Error(`the runtime is not called with ${command}`);
  });
}
