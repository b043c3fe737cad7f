// `moor events [-f]`: what has happened as far as it is on record (exits in the bundles, events that wait for a daemon),
// and with -f what happens from now on: told by containerd where it is there, and seen at the shims where it is not.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { exitCodes, textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import { faultOfSocket } from "./doctor-shims.ts";
import { type EventRow, lineOf, rowOfEnvelope, rowsOfSpool } from "./event-rows.ts";
import { type Standing, standingOf } from "./inspect.ts";
import { type Container, listContainers } from "./inventory.ts";
import { type Format, streamText } from "./output.ts";
import { textOfFile } from "./proc-figures.ts";

export interface EventsFlags {
  readonly follow: boolean;
  readonly format: Format;
}

const topics: Readonly<Record<string, string>> = {
  created: "/tasks/create",
  running: "/tasks/start",
  paused: "/tasks/paused",
  stopped: "/tasks/exit",
};
const lookEveryMs = 250;

/** @throws CliError when containerd, which was there, cannot be asked. */
export async function eventsCommand(context: Context, { follow, format }: EventsFlags): Promise<number> {
  const { settings } = context;
  const print = (row: EventRow): void => void process.stdout.write(streamText(format, row, lineOf));
  const containers = listContainers(settings);
  const past = containers.flatMap(pastOf).sort((a, b) => a.at.localeCompare(b.at));
  for (const row of past) print(row);
  if (!follow) {
    tellLimits("what is over is known by its exits alone; -f tells what happens from now on");
    return exitCodes.ok;
  }
  await followAll(context, print);
  return exitCodes.ok;
}

/** What is on record of a container: its exits, and the events that no daemon has taken. */
function pastOf(container: Container): EventRow[] {
  const { bundle, namespace } = container;
  const waiting = ["events.left", "events"].flatMap((file) => {
    try {
      return rowsOfSpool(readFileSync(join(bundle, file)));
    } catch {
      // As a rule there is none.
      return [];
    }
  });
  return [...waiting, ...exitsOf(bundle, container.id, namespace)];
}

function exitsOf(bundle: string, containerId: string, namespace: string): EventRow[] {
  try {
    const { exits } = JSON.parse(textOfFile(join(bundle, "exits.json")) ?? "{}") as {
      exits?: Record<string, { pid?: number; status?: number; exitedAt?: string }>;
    };
    return Object.entries(exits ?? {}).map(([id, { pid, status, exitedAt }]) => ({
      at: exitedAt ?? "",
      namespace,
      topic: "/tasks/exit",
      source: "record" as const,
      type: "containerd.events.TaskExit",
      event: { containerId, id, pid: pid ?? 0, exitStatus: status ?? null, exitedAt: exitedAt ?? "" },
    }));
  } catch {
    // Cut short: its shim is writing it anew.
    return [];
  }
}

async function followAll(context: Context, print: (row: EventRow) => void): Promise<void> {
  const { address, namespace, timeoutMs } = context.settings;
  const leave = new Leave();
  try {
    const hasDaemon = (await faultOfSocket(address)) === undefined;
    // Containers of a daemon that is there are its to tell of: it hears everything from their shims.
    const watch = new ShimWatch(context, hasDaemon, print);
    tellLimits(
      hasDaemon
        ? "of containers without a daemon only starts, pauses and ends are seen, not their execs"
        : "containerd does not answer: only starts, pauses and ends are seen, at the shims, not execs",
    );
    const seen = watch.run(leave);
    if (!hasDaemon) return await seen;
    const { DaemonApi } = await import("./daemon-api.ts");
    const daemon = new DaemonApi(address, timeoutMs);
    const filters = namespace === undefined ? [] : [`namespace==${namespace}`];
    const stream = daemon.subscribe(filters, (envelope) => print(rowOfEnvelope(envelope, "containerd")));
    try {
      // Its end ends neither the containers nor us: from then on the shims tell.
      void stream.ended
        .catch((thrown: unknown) => context.log.info("containerd's events", { error: textOf(thrown) }))
        .then(() => {
          if (!leave.asked) process.stderr.write("moor: containerd has left; the shims are watched instead\n");
          watch.hasDaemon = false;
        });
      await seen;
    } finally {
      stream.stop();
      daemon.close();
    }
  } finally {
    leave.forget();
  }
}

function tellLimits(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`moor: ${text}\n`);
}

/** Looks at the shims again and again, and tells what has changed. */
class ShimWatch {
  hasDaemon: boolean;
  readonly #context: Context;
  readonly #print: (row: EventRow) => void;
  /** By "namespace/id": how it stood, and whose it is. */
  readonly #last = new Map<string, { status: string; owner: Container["owner"] }>();

  constructor(context: Context, hasDaemon: boolean, print: (row: EventRow) => void) {
    this.#context = context;
    this.hasDaemon = hasDaemon;
    this.#print = print;
  }

  async run(leave: Leave): Promise<void> {
    for (let first = true; !leave.asked; first = false) {
      await this.#look(!first);
      await leave.wait(lookEveryMs);
    }
  }

  async #look(tell: boolean): Promise<void> {
    const { settings } = this.#context;
    const containers = listContainers(settings);
    const standings = await Promise.all(containers.map((container) => standingOf(container, settings.timeoutMs)));
    const there = new Set<string>();
    containers.forEach((container, i) => {
      const key = `${container.namespace}/${container.id}`;
      const standing = standings[i] as Standing;
      there.add(key);
      const before = this.#last.get(key)?.status;
      this.#last.set(key, { status: standing.status, owner: container.owner });
      if (tell && this.#isOurs(container.owner) && before !== standing.status) this.#tell(container, standing, before);
    });
    for (const [key, { owner }] of [...this.#last].filter(([each]) => !there.has(each))) {
      this.#last.delete(key);
      const [namespace, id] = key.split("/") as [string, string];
      if (tell && this.#isOurs(owner)) this.#row(namespace, "/tasks/delete", { containerId: id });
    }
  }

  #isOurs(owner: Container["owner"]): boolean {
    return !this.hasDaemon || owner === "moor";
  }

  #tell({ id, namespace }: Container, { status, pid, exit }: Standing, before: string | undefined): void {
    const resumed = before === "paused" && status === "running";
    const topic = resumed ? "/tasks/resumed" : (topics[status] ?? `/moor/${status}`);
    const end = exit === undefined ? {} : { id, exitStatus: exit.status, exitedAt: exit.exitedAt };
    this.#row(namespace, topic, { containerId: id, pid, ...end });
  }

  #row(namespace: string, topic: string, event: Record<string, unknown>): void {
    this.#print({ at: new Date().toISOString(), namespace, topic, source: "shim", type: "", event });
  }
}

/** The person's wish to leave, or the reader's end. */
class Leave {
  asked = false;
  #wake: () => void = () => undefined;
  readonly #ask = (): void => {
    this.asked = true;
    this.#wake();
  };

  constructor() {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, this.#ask);
    process.stdout.on("error", this.#ask);
  }

  async wait(ms: number): Promise<void> {
    if (this.asked) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
  }

  forget(): void {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.removeListener(name, this.#ask);
  }
}
