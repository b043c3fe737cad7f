// moor doctor's look at the shims: each container with its shim and the daemon's word of it, sockets that nobody serves,
// shims that nobody knows.

import { connect } from "node:net";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import { type Finding, ok, shellWord } from "./finding.ts";
import { type Standing, standingOf } from "./inspect.ts";
import { addressOf, type Container, listContainers } from "./inventory.ts";
import { allPids, figuresOf } from "./proc-figures.ts";
import { programOf } from "./proc.ts";
import { rmCommand } from "./rm.ts";
import { kindOf, listShimProcesses, type ShimProcess, socketPathOf } from "./shim-processes.ts";

export interface SeenContainer {
  readonly container: Container;
  readonly standing: Standing;
  readonly name: string;
}

export interface DaemonView {
  readonly answers: boolean;
  readonly version: string;
  /** Why it does not answer. */
  readonly fault: string;
  /** Its tasks, by "namespace/id", with what it calls their state. */
  readonly tasks: ReadonlyMap<string, string>;
}

/** What there is, read once for all checks. */
export interface Seen {
  readonly containers: readonly SeenContainer[];
  readonly shims: readonly ShimProcess[];
  readonly daemon: DaemonView;
}

/** Between two looks at what may be in the making. */
const secondLookMs = 300;

export async function statusNow(context: Context): Promise<Seen> {
  const { settings } = context;
  const containers = listContainers(settings);
  const [daemon, ...standings] = await Promise.all([
    viewOfDaemon(context),
    ...containers.map((container) => standingOf(container, settings.timeoutMs)),
  ]);
  const shims = listShimProcesses()
    .filter((shim) => shim.address === settings.root || shim.address === settings.address)
    .filter((shim) => settings.namespace === undefined || shim.namespace === settings.namespace);
  return {
    containers: containers.map((container, i) => ({
      container,
      standing: standings[i] as Standing,
      name: `${container.namespace}/${container.id}`,
    })),
    shims,
    daemon,
  };
}

async function viewOfDaemon(context: Context): Promise<DaemonView> {
  const { address, timeoutMs, namespace } = context.settings;
  const silent = { answers: false, version: "", tasks: new Map<string, string>() };
  const fault = await faultOfSocket(address);
  // Without anybody at its socket the gRPC library is not loaded for nothing.
  if (fault !== undefined) return { ...silent, fault };
  const { DaemonApi } = await import("./daemon-api.ts");
  const daemon = new DaemonApi(address, timeoutMs);
  try {
    const { version } = await daemon.version();
    const namespaces = namespace === undefined ? await daemon.namespaces() : [namespace];
    return { answers: true, version, fault: "", tasks: await daemon.tasks(namespaces) };
  } catch (thrown) {
    return { ...silent, fault: textOf(thrown) };
  } finally {
    daemon.close();
  }
}

export async function checkShims(context: Context, seen: Seen, sockets: string): Promise<Finding[]> {
  const findings = [
    ...seen.containers.map((each) => checkContainer(context, each, seen)).filter((each) => each !== undefined),
    ...(await checkSockets(seen, sockets)),
    ...checkLostShims(seen),
    ...checkDaemonsView(seen),
  ];
  if (findings.length > 0) return findings;
  return [ok("shims", "machine", `${seen.containers.length} containers, each with its shim`)];
}

function checkContainer(context: Context, seenOne: SeenContainer, { daemon }: Seen): Finding | undefined {
  const { container, standing, name } = seenOne;
  const { id, namespace, owner } = container;
  const words = `-n ${namespace}`;
  if (standing.state !== undefined) return undefined;
  if (standing.status === "orphaned") {
    return {
      check: "orphan",
      grade: "problem",
      subject: name,
      what: `its shim is gone, and its process ${standing.pid} runs on`,
      meaning: "nobody moves its output, nobody will see its end, and nobody can attach to it",
      command: owner === "moor" ? `moor ${words} rm -f ${id}` : `kill -9 ${standing.pid}; systemctl restart containerd`,
    };
  }
  const shim = addressOf(container) === undefined ? "it never got a shim" : "its shim is gone or does not answer";
  if (owner === "containerd") {
    const known = daemon.tasks.has(name);
    return {
      check: "dead-shim",
      grade: "problem",
      subject: name,
      what: `${shim}, and its bundle is left at ${container.bundle}`,
      meaning: known
        ? "containerd still counts it among its tasks: a client sees it and can do nothing with it"
        : "containerd cleans up such bundles when it starts, and only then",
      command: known ? `ctr ${words} tasks delete -f ${id}` : "systemctl restart containerd",
    };
  }
  const fix = async (): Promise<void> => {
    const { status, state } = await standingOf(container, context.settings.timeoutMs);
    if (state !== undefined || status === "orphaned") throw new Error("it has come to life meanwhile");
    await rmCommand({ ...context, settings: { ...context.settings, namespace } }, id, false);
  };
  return {
    check: "dead-shim",
    grade: "problem",
    subject: name,
    what: `${shim}, and its folder is left at ${container.bundle}`,
    meaning: standing.exit === undefined ? "nobody knows how it ended" : `it ended with ${standing.exit.status}`,
    command: `moor ${words} rm ${id}`,
    ...(hangs(seenOne) ? {} : { fix }),
  };
}

/** Whether the shim that wrote the address may be alive and silent: then nothing of it is touched. */
function hangs({ container }: SeenContainer): boolean {
  const record = container.folder?.readRecord();
  if (record?.shimPid !== undefined && kindOf(programOf(record.shimPid)) === "moor") return true;
  return listShimProcesses().some(({ id, namespace }) => id === container.id && namespace === container.namespace);
}

/** Sockets in the folder of all shims at which nobody answers, looked at twice: between bind and listen is a moment. */
async function checkSockets({ containers }: Seen, dir: string): Promise<Finding[]> {
  const first = await deadSocketsIn(dir);
  if (first.length === 0) return [];
  await new Promise((resolve) => setTimeout(resolve, secondLookMs));
  const dead = new Set(await deadSocketsIn(dir));
  const owners = new Map(
    containers.map(({ container, name }) => [socketPathOf(addressOf(container) ?? ""), name] as const),
  );
  return first
    .filter((path) => dead.has(path))
    .map((path) => {
      const owner = owners.get(path);
      const fix = async (): Promise<void> => {
        if ((await faultOfSocket(path)) !== "ECONNREFUSED") throw new Error("somebody serves it by now");
        rmSync(path);
      };
      return {
        check: "dead-socket",
        grade: "problem",
        subject: path,
        what: `no shim serves it${owner === undefined ? "" : `; it was that of ${owner}`}`,
        meaning: "the shim was killed; the file does no harm but to be tried in vain, and is never removed by anyone",
        command: `rm ${shellWord(path)}`,
        fix,
      };
    });
}

async function deadSocketsIn(dir: string): Promise<string[]> {
  let paths: string[];
  try {
    const entries = readdirSync(dir, { withFileTypes: true });
    paths = entries.filter((entry) => entry.isSocket()).map((entry) => join(dir, entry.name));
  } catch {
    // There has never been a shim, or it is not ours to see.
    return [];
  }
  const faults = await Promise.all(paths.map(faultOfSocket));
  return paths.filter((_path, i) => faults[i] === "ECONNREFUSED");
}

/** Why nobody can be reached at a socket; undefined: somebody can. */
export function faultOfSocket(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on("connect", () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.on("error", (fault) => resolve(errnoOf(fault) ?? fault.message));
  });
}

/** Shims of which neither folder nor bundle is left. */
function checkLostShims({ containers, shims }: Seen): Finding[] {
  const serving = new Set(containers.map(({ standing }) => standing.shimPid));
  const names = new Set(containers.map(({ name }) => name));
  return shims
    .filter(({ pid, namespace, id }) => !serving.has(pid) && !names.has(`${namespace}/${id}`))
    .map(({ pid, namespace, id }) => {
      const children = allPids().filter((each) => figuresOf(each)?.parent === pid);
      const holds = children.length > 0 ? `, and holds the processes ${children.join(", ")}` : "";
      return {
        check: "lost-shim",
        grade: "problem",
        subject: `${namespace}/${id}`,
        what: `shim ${pid} runs${holds}, and nothing else of the container is left`,
        meaning: "neither moor nor a daemon will ever end it, since they know containers by their folders",
        command: `kill -9 ${[...children, pid].join(" ")}`,
      };
    });
}

/** Where what the daemon says and what the shims say is not the same. */
function checkDaemonsView({ containers, daemon }: Seen): Finding[] {
  if (!daemon.answers) return [];
  const findings: Finding[] = [];
  const names = new Set(containers.map(({ name }) => name));
  for (const [name, status] of daemon.tasks) {
    if (names.has(name)) continue;
    const [namespace, id] = name.split("/") as [string, string];
    findings.push({
      check: "daemon-view",
      grade: "problem",
      subject: name,
      what: `containerd counts it among its tasks (${status}), and it has no bundle`,
      meaning: "whoever asks containerd is told of a container that is not there",
      command: `ctr -n ${namespace} tasks delete -f ${id}`,
    });
  }
  for (const { container, standing, name } of containers) {
    if (container.owner !== "containerd" || standing.state === undefined) continue;
    const status = daemon.tasks.get(name);
    // created and stopped are passed through quickly, and the answers are of two moments.
    if (status === standing.status || (status !== undefined && standing.status !== "running")) continue;
    const meaning =
      status === undefined
        ? "containerd has lost it: it runs on, and no client of containerd can reach it"
        : "the one who is asked last knows best, and clients ask containerd";
    findings.push({
      check: "daemon-view",
      grade: "problem",
      subject: name,
      what: `its shim says ${standing.status}, containerd says ${status ?? "nothing of it"}`,
      meaning,
      command: status === undefined ? "systemctl restart containerd   # it finds its shims again" : `moor ps -a`,
    });
  }
  return findings;
}
