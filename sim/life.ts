// One simulated life of a shim, from one seed: a machine, a runtime, a daemon and some containers' clients, all of a
// temper drawn from the seed; run until nothing happens any more, and searched for what must not be.

import { Daemon } from "./daemon.ts";
import { Kernel } from "./kernel.ts";
import { Observer } from "./observer.ts";
import { Random } from "./random.ts";
import { fifoBytes, type Reader } from "./reader.ts";
import { FakeRuntime, type MadeProcess } from "./runtime.ts";
import { Scenario, type World } from "./scenario.ts";
import { type Shim, startShim } from "./shim.ts";
import { TaskClient } from "./task-client.ts";

/** Nobody lives so long: something goes round and round. */
const mostTurns = 200_000;

export interface Story {
  readonly seed: number;
  /** What was wrong; undefined: nothing. */
  readonly broken: string | undefined;
  /** What happened, when it was asked for. */
  readonly log: readonly string[];
  /** How often what happened: "turns", "calls", "events", "faults", and each fault by call and errno. */
  readonly seen: ReadonlyMap<string, number>;
}

/** What the shim loads when it is first needed: that takes a moment of the real clock, which no life has. */
const loaded = Promise.all([
  import("../src/shim/remains.ts"),
  import("../src/cgroup/metrics-v2.ts"),
  import("../src/oci/options-toml.ts"),
]);

/** Lives it. The same seed gives the same story, with a log or without. */
export async function live(seed: number, wantsLog: boolean): Promise<Story> {
  await loaded;
  const life = new Life(seed, wantsLog);
  await life.run();
  return life.story();
}

class Life {
  readonly #seed: number;
  readonly #log: string[] = [];
  readonly #note: ((text: string) => void) | undefined;
  readonly #random: Random;
  readonly #kernel: Kernel;
  readonly #runtime: FakeRuntime;
  readonly #daemon: Daemon;
  readonly #observer: Observer;
  readonly #shim: Shim;
  readonly #client: TaskClient;
  readonly #readers: Reader[] = [];
  readonly #streams = new Map<string, ReadonlyMap<number, Reader>>();
  #broken: string | undefined;
  #turns = 0;
  #isOver = false;
  #isHealed = false;

  constructor(seed: number, wantsLog: boolean) {
    this.#seed = seed;
    this.#note = wantsLog ? (text) => this.#log.push(`${this.#kernel.timeline.nowMs.toFixed(3)} ${text}`) : undefined;
    const random = new Random(seed);
    this.#random = random;
    const note = (text: string): void => this.#note?.(text);
    const broken = (text: string): void => this.#breaks(text);
    const isCalm = random.chance(0.4);
    const manners = { trouble: isCalm ? 0 : random.pick([0.02, 0.1, 0.3]), callMs: random.pick([1, 5, 40]) };
    const temper = {
      mortal: random.fraction(),
      lifeMs: random.pick([1, 10, 100, 1000]),
      writes: random.fraction(),
      forks: random.pick([0, 0, 0.2, 0.5]),
    };
    this.#runtime = new FakeRuntime(() => this.#kernel, manners, temper, note);
    this.#kernel = new Kernel(random, {
      lastPid: random.pick([30, 30, 60]),
      faultRate: isCalm ? 0 : random.pick([0, 0.002, 0.02]),
      note,
      broken,
      exec: (process, request) => this.#runtime.exec(process, request),
    });
    this.#daemon = new Daemon(this.#kernel.timeline, random, isCalm ? 0 : random.pick([0, 0.1, 0.5]));
    this.#observer = new Observer(this.#runtime.made, broken);
    this.#observer.onExit = (made) => this.#examineExit(made, temper.forks > 0);
    this.#shim = startShim(this.#kernel, this.#daemon, this.#observer, this.#note, broken);
    this.#client = new TaskClient(this.#shim.client, this.#kernel.timeline, this.#note, broken);
  }

  story(): Story {
    return {
      seed: this.#seed,
      broken: this.#broken,
      log: this.#log,
      seen: new Map([
        ["turns", this.#turns],
        ["calls", this.#client.calls],
        ["events", this.#observer.eventCount],
        ["faults", this.#kernel.faults.count],
        ...this.#kernel.faults.injected,
      ]),
    };
  }

  async run(): Promise<void> {
    this.#script().then(
      () => {
        this.#isOver = true;
      },
      (thrown: unknown) => this.#breaks(`the script: ${thrown instanceof Error ? thrown.stack : String(thrown)}`),
    );
    await new Promise<void>((resolve) => this.#turnUntil(resolve));
    if (this.#broken === undefined) this.#examine();
  }

  /**
   * One thing happens after another, each once every promise that can go on has gone on: Node runs what is given to nextTick
   * when no such job is left, and what a tick gives to nextTick itself before that, hence the job in between.
   */
  #turnUntil(resolve: () => void): void {
    const { timeline } = this.#kernel;
    const turn = (): void => {
      const fn = this.#broken === undefined ? timeline.next() : undefined;
      if (fn === undefined) return resolve();
      if (++this.#turns > mostTurns) this.#breaks("it does not come to rest");
      try {
        fn();
      } catch (thrown) {
        this.#breaks(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown));
      }
      void now.then(again);
    };
    const now = Promise.resolve();
    const again = (): void => process.nextTick(turn);
    again();
  }

  #breaks(text: string): void {
    this.#note?.(`BROKEN: ${text}`);
    this.#broken ??= text;
  }

  async #script(): Promise<void> {
    const random = this.#random;
    const sleep = (ms: number): Promise<void> =>
      new Promise((resolve) => {
        this.#kernel.timeline.after(ms, resolve);
      });
    const world: World = {
      kernel: this.#kernel,
      random,
      runtime: this.#runtime,
      client: this.#client,
      observer: this.#observer,
      readers: this.#readers,
      streams: this.#streams,
      isHealed: () => this.#isHealed,
      broken: (text) => this.#breaks(text),
      sleep,
    };
    const scenarios = Array.from({ length: random.pick([1, 1, 2, 3]) }, (_, i) => new Scenario(world, `c${i}`));
    if (this.#daemon.trouble > 0) void sleep(random.delay(100)).then(() => this.#daemon.goAway(random.delay(60_000)));
    await Promise.all(scenarios.map((scenario) => scenario.walk()));
    this.#heal();
    await Promise.all(scenarios.map((scenario) => scenario.end()));
    for (const id of this.#shim.halfMade) this.#runtime.remove(id);
    for (const container of this.#runtime.containers.values()) this.#breaks(`the runtime still has ${container.id}`);
    // Answers on their way.
    await sleep(1000);
    for (const call of this.#client.waiting) this.#breaks(`never answered: ${call}`);
    await this.#client.call("Shutdown", {});
    if (!this.#shim.hasLeft()) this.#breaks("Shutdown is without effect");
    await this.#shim.publisher.idle();
    await this.#shim.tasks.drained();
    this.#shim.publisher.close();
    await this.#shim.end();
  }

  #heal(): void {
    this.#note?.("from now on nothing fails");
    this.#isHealed = true;
    this.#kernel.faults.rate = 0;
    this.#runtime.manners = { ...this.#runtime.manners, trouble: 0 };
    this.#daemon.comeBack();
    for (const reader of this.#readers) reader.hurry();
  }

  /** An exit is being told: what it wrote is where its reader finds it, and an out-of-memory kill was told before. */
  #examineExit({ containerId, execId, outputs }: MadeProcess, mayHaveChildren: boolean): void {
    const container = this.#runtime.containers.get(containerId);
    const wasSeen =
      this.#kernel.faults.count === 0 && execId === "" && container !== undefined && container.oomKills > 0;
    if (wasSeen && !this.#observer.ooms.has(containerId))
      this.#breaks(`${containerId}: its OOM is not told before its exit`);
    for (const [fd, reader] of this.#streams.get(`${containerId}/${execId}`) ?? []) {
      const written = outputs.get(fd)?.written ?? 0;
      // What never filled the FIFO was not held up by anything.
      if (mayHaveChildren || reader.hasLeft || written > fifoBytes || reader.arrived === written) continue;
      this.#breaks(
        `${reader.path}: ${written} bytes were written before the exit that is told, ${reader.arrived} have come`,
      );
    }
  }

  /** All is over: what is left that should not be, and what is missing. */
  #examine(): void {
    if (!this.#isOver)
      this.#breaks(`nothing happens any more, and these wait: ${[...this.#client.waiting].join(", ")}`);
    this.#observer.end();
    for (const reader of this.#readers) reader.finish();
    for (const left of this.#kernel.leftovers()) this.#breaks(`left behind: ${left}`);
    for (const { what, ended } of this.#kernel.processes.children) {
      this.#breaks(`left behind: ${ended === undefined ? "process" : "zombie"} ${what}`);
    }
    const { owned, held, announcements } = this.#shim.reaper.state();
    if (owned.length + held.length + announcements > 0) this.#breaks("the reaper still has something in hand");
    if (this.#shim.tasks.containerCount > 0) this.#breaks("the shim still has a container");
    const missing = this.#daemon.compare(this.#shim.published);
    if (missing !== undefined) this.#breaks(missing);
    if (this.#kernel.faults.count === 0) this.#examineFiles();
  }

  #examineFiles(): void {
    for (const path of this.#kernel.files.paths()) {
      if (/-process\.json$|\/log-\d+-\d+\.json$|\/resources-|\.new$|\.sock$/.test(path))
        this.#breaks(`left behind: ${path}`);
    }
  }
}
