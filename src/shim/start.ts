// The action `start`: finds the socket of the container's group, answers with its address when a shim serves it, and
// else leaves a new shim behind that does. Everything up to the answer is done without the event loop, as fork demands,
// and loads only what this start needs.

import { groupOf, readSpec } from "../oci/bundle.ts";
import { isErrno } from "../sys/errno.ts";
import { MoorError, must } from "../sys/error.ts";
import { quoted } from "../sys/quoted.ts";
import { SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1 } from "../sys/flags.ts";
import { passGate } from "../sys/gates.ts";
import type { Fd, Sys } from "../sys/sys.d.ts";
import { answers, defaultSocketFolder, socketPath } from "./address.ts";
import type { ShimArguments } from "./arguments.ts";
import type { StartInput } from "./bootstrap.ts";
import { becomeDaemon, type ChildSide, forkShim } from "./detach.ts";
import { writeAtomically } from "./exit-records.ts";
import { checkIdentifier } from "./identifier.ts";
import type { TaskVersion } from "./join.ts";
import type { ServeSetup } from "./serve.ts";
import { lockSocketFolder, makeSocketFolder, removeStaleSocket, type SocketFolder } from "./socket-folder.ts";
import { readStandardInput } from "./standard-input.ts";

/** pidfd_open, P_PIDFD and openat2 together: Linux 5.6. */
const oldestKernel = [5, 6] as const;
const lockPatienceMs = 5_000;
/** Connections that may wait for accept(2), where the kernel allows it (somaxconn): one more is refused with EAGAIN. */
const backlog = 1024;
/** Highest value of oom_score_adj (proc(5)). */
const maxOomScoreAdj = 1000;

const noInput: StartInput = {
  answer: "address",
  shimCgroup: "",
  ttrpcAddress: "",
  grpcAddress: "",
  socketFolder: "",
  logLevel: "info",
};

/** What a start is about, settled before anything is done. */
interface Plan {
  readonly args: ShimArguments;
  readonly input: StartInput;
  readonly bundle: string;
  readonly socketFolder: string;
  readonly socketPath: string;
  readonly address: string;
  readonly listenFds: readonly Fd[];
}

/**
 * Starts a shim, or finds the one that serves the group.
 * @returns the answer for standard output; undefined in the forked child, which serves from now on.
 * @throws MoorError: then there is no new shim.
 */
export async function start(sys: Sys, args: ShimArguments): Promise<Uint8Array | undefined> {
  const plan = await makePlan(sys, args);
  const cgroup = plan.input.shimCgroup === "" ? undefined : await import("./shim-cgroup.ts");
  makeSocketFolder(sys, plan.socketFolder);
  // Without the lock first: dozens of starts of one group wait for one busy shim at once, and not one behind the other.
  const served = await joinServing(sys, plan);
  if (served !== undefined) return encodeAnswer(sys, plan, served);
  const folder = lockSocketFolder(sys, plan.socketFolder, lockPatienceMs);
  GATE: passGate(sys, "launch.locked");
  const joined = await joinServing(sys, plan);
  if (joined !== undefined) {
    folder.unlock();
    return encodeAnswer(sys, plan, joined);
  }
  removeStaleSocket(sys, plan.socketPath);
  const listenFd = must(sys.unixBind(plan.socketPath), `bind ${plan.socketPath}`);
  let forked: ReturnType<typeof forkShim>;
  try {
    writeAddress(sys, plan);
    GATE: passGate(sys, "launch.bound");
    forked = forkShim(sys);
    if (forked.side === "parent") forked.awaitChild();
  } catch (thrown) {
    sys.unlink(plan.socketPath);
    throw thrown;
  }
  if (forked.side === "parent") {
    GATE: passGate(sys, "launch.answering");
    return encodeAnswer(sys, plan, 2);
  }
  GATE: passGate(sys, "launch.forked");
  const setup = becomeShim(sys, plan, forked, folder, listenFd, () => cgroup?.joinCgroup(sys, plan.input.shimCgroup));
  const { serve } = await import("./serve.ts");
  serve(sys, setup);
  GATE: passGate(sys, "launch.serving");
  return undefined;
}

/**
 * Joins the shim that serves the group; whoever holds the lock knows that nobody is about to make one.
 * @returns the version of the task API that it speaks; undefined when there is none.
 */
async function joinServing(sys: Sys, plan: Plan): Promise<TaskVersion | undefined> {
  if (!answers(sys, plan.socketPath)) return undefined;
  const joined = (await import("./join.ts")).joinShim(sys, plan.socketPath, plan.args.id);
  if (joined !== undefined) writeAddress(sys, plan);
  return joined;
}

/** "6.1.0-18-amd64" and the like. @throws MoorError failed_precondition for a kernel that lacks what the shim needs. */
export function checkKernel(release: string): void {
  const match = /^(\d+)\.(\d+)/.exec(release);
  if (match === null) return;
  const [major, minor] = [Number(match[1]), Number(match[2])];
  if (major > oldestKernel[0] || (major === oldestKernel[0] && minor >= oldestKernel[1])) return;
  throw new MoorError("failed_precondition", `Linux ${oldestKernel.join(".")} or later is needed; this is ${release}`);
}

/** The value of a variable in an environment of NAME=value entries; "" when it is not set. */
export function variable(environ: readonly string[], name: string): string {
  return environ.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";
}

/** The sockets that a starter has left open on purpose, from fd 3 on. @throws MoorError invalid_argument. */
export function passedSockets(environ: readonly string[]): Fd[] {
  const text = variable(environ, "MOOR_LISTEN_FDS");
  if (text === "") return [];
  if (!/^\d{1,3}$/.test(text)) {
    throw new MoorError("invalid_argument", `MOOR_LISTEN_FDS is no number of sockets: ${quoted(text)}`);
  }
  return Array.from({ length: Number(text) }, (_, index) => (3 + index) as Fd);
}

async function makePlan(sys: Sys, args: ShimArguments): Promise<Plan> {
  checkKernel(sys.kernelRelease());
  checkIdentifier("namespace", args.namespace);
  checkIdentifier("container id", args.id);
  const bytes = readStandardInput(sys);
  const input =
    bytes.length === 0
      ? noInput
      : await (await import("./bootstrap.ts")).readStartInput(sys, bytes, args.id, args.namespace);
  const bundle = must(sys.getcwd(), "find the bundle, the current folder");
  const group = groupOf(readSpec(sys, bundle)) ?? args.id;
  const socketFolder = input.socketFolder === "" ? defaultSocketFolder : input.socketFolder.replace(/\/+$/, "");
  const daemon = args.address === "" ? input.grpcAddress : args.address;
  const path = socketPath(sys, socketFolder, daemon, args.namespace, group);
  const listenFds = passedSockets(sys.environ);
  return { args, input, bundle, socketFolder, socketPath: path, address: `unix://${path}`, listenFds };
}

/** All of the child's work up to its first accept; what goes wrong here is the parent's error. */
function becomeShim(
  sys: Sys,
  plan: Plan,
  child: ChildSide,
  folder: SocketFolder,
  listenFd: Fd,
  joinCgroup: () => void,
): ServeSetup {
  try {
    const { logFd, warnings } = becomeDaemon(sys, {
      keepFds: [listenFd, child.reportFd, folder.fd, ...plan.listenFds],
      logPath: `${plan.bundle}/log`,
      oomScoreAdj: oomScoreAdj(sys),
      schedCore: variable(sys.environ, "SCHED_CORE") !== "",
    });
    // Before anybody knows of the shim: no signal is to end it while it still loads its modules.
    const signals = takeSignals(sys);
    for (const fd of plan.listenFds) must(sys.setCloexec(fd, true), `take the passed socket ${fd}`);
    joinCgroup();
    const socket = must(sys.lstat(plan.socketPath), `look at ${plan.socketPath}`);
    // Here and not before the fork: SO_PEERCRED names the process that called it, and clients shall see the shim.
    must(sys.listen(listenFd, backlog), `listen on ${plan.socketPath}`);
    GATE: passGate(sys, "launch.listening");
    child.ready();
    folder.unlock();
    GATE: passGate(sys, "launch.ready");
    const { args, input } = plan;
    return {
      namespace: args.namespace,
      id: args.id,
      bundle: plan.bundle,
      address: plan.address,
      socketPath: plan.socketPath,
      socketInode: socket.ino,
      listenFd,
      logFd,
      ttrpcAddress: input.ttrpcAddress === "" ? variable(sys.environ, "TTRPC_ADDRESS") : input.ttrpcAddress,
      logLevel: args.debug ? "debug" : input.logLevel,
      listenFds: plan.listenFds,
      onSignal: (fn) => {
        signals.deliver = fn;
      },
      warnings,
    };
  } catch (thrown) {
    return child.failed(thrown);
  }
}

/** Signals wait for the event loop from now on, and go to `deliver`, which is set before that runs. */
export function takeSignals(sys: Sys): { deliver: (signal: number) => void } {
  const taken = { deliver: (_signal: number): void => undefined };
  must(
    sys.signalStart([SIGCHLD, SIGTERM, SIGINT, SIGUSR1, SIGHUP], (signal) => taken.deliver(signal)),
    "watch for signals",
  );
  return taken;
}

/** One more than the process that called `start` has: of the two the kernel shall rather end the shim. */
function oomScoreAdj(sys: Sys): number | undefined {
  // In the child the parent is `start` itself, which has inherited its caller's.
  const text = sys.readText("/proc/self/oom_score_adj", 64);
  if (isErrno(text) || !/^-?\d+\s*$/.test(text)) return undefined;
  return Math.min(Number(text) + 1, maxOomScoreAdj);
}

function writeAddress(sys: Sys, plan: Plan): void {
  writeAtomically(sys, `${plan.bundle}/address`, plan.address, 0o600);
}

/**
 * What the daemon reads, for a shim that speaks this version of the task API. Our own speaks both, and is told as 2.
 * @throws MoorError failed_precondition when the daemon understands no other answer than a plain address, which is 2.
 */
async function encodeAnswer(sys: Sys, { input, address }: Plan, version: TaskVersion): Promise<Uint8Array> {
  if (input.answer === "result") {
    const { encodeResult } = await import("./bootstrap.ts");
    return encodeResult(address, version);
  }
  if (version === 2) return sys.encodeUtf8(address);
  // containerd 1.6 takes all that is printed for an address. 1.7 reads JSON and says itself that it knows no version 3.
  if (variable(sys.environ, "MAX_SHIM_VERSION") === "") {
    throw new MoorError(
      "failed_precondition",
      `the shim at ${address}, which serves this container's group, speaks only version 3 of the task API, and this daemon only version 2`,
    );
  }
  return sys.encodeUtf8(JSON.stringify({ version, address, protocol: "ttrpc" }));
}
