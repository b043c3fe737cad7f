// One simulated life of a shim, from one seed: a machine, a runtime, a daemon and some containers' clients, all of a
// temper drawn from the seed; run until nothing happens any more, and searched for what must not be.

import { examineRemains, runDelete } from "./aftermath.ts";
import { Daemon } from "./daemon.ts";
import { immortal, mortal } from "./death.ts";
import { clockChanges } from "./clock.ts";
import { type ClockChange, Kernel } from "./kernel.ts";
import { Loggers } from "./loggers.ts";
import { Observer } from "./observer.ts";
import type { VirtualProcess } from "./processes.ts";
import { Random } from "./random.ts";
import { type Reader, type StreamEnd } from "./reader.ts";
import { FakeRuntime, type MadeProcess } from "./runtime.ts";
import { Scenario, type World } from "./scenario.ts";
import type { Client } from "ttrpc";
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
  import("../src/cgroup/metrics-v1.ts"),
  import("../src/cgroup/metrics-v2.ts"),
  import("../src/oci/options-toml.ts"),
]);

/**
 * Lives it. The same seed gives the same story, with a log or without.
 * @param clockIsSet somebody sets the clock, back and forth: that changes the times that are told, and nothing else.
 */
export async function live(seed: number, wantsLog: boolean, clockIsSet = true): Promise<Story> {
  await loaded;
  const life = new Life(seed, wantsLog, clockIsSet ? clockChanges(seed) : []);
  await life.run();
  return life.story();
}

/** When the shim is killed. */
type Fate = "lives" | "at a moment" | "at a call" | "at an exit";

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
  readonly #streams = new Map<string, ReadonlyMap<number, StreamEnd>>();
  readonly #closedInputs = new Set<string>();
  readonly #loggers: Loggers;
  /** Of the client's connections, the last. */
  #breakConnection: () => void = () => undefined;
  /** Nothing that the shim does has an effect any more. */
  readonly #wallOff: () => void;
  /** The shim has been killed. */
  #isKilled = false;
  #broken: string | undefined;
  #turns = 0;
  #brokenConnections = 0;
  #deletes = 0;
  #isOver = false;
  #isHealed = false;
  /** The script has come to its end, which is to be undisturbed. */
  #isDone = false;
  readonly #isCalm: boolean;

  constructor(seed: number, wantsLog: boolean, changes: readonly ClockChange[]) {
    this.#seed = seed;
    this.#note = wantsLog ? (text) => this.#log.push(`${this.#kernel.timeline.nowMs.toFixed(3)} ${text}`) : undefined;
    const random = new Random(seed);
    this.#random = random;
    const note = (text: string): void => this.#note?.(text);
    const broken = (text: string): void => this.#breaks(text);
    const isCalm = random.chance(0.4);
    this.#isCalm = isCalm;
    const callMs = random.pick([1, 5, 40]);
    const slowCommand = random.chance(0.1)
      ? random.pick(["exec", "exec", "pause", "resume", "checkpoint", "kill"])
      : "";
    const manners = { trouble: isCalm ? 0 : random.pick([0.02, 0.1, 0.3]), callMs, slowCommand };
    const temper = {
      mortal: random.fraction(),
      lifeMs: random.pick([1, 10, 100, 1000]),
      writes: random.fraction(),
      forks: random.pick([0, 0, 0.2, 0.5]),
    };
    this.#runtime = new FakeRuntime(() => this.#kernel, manners, temper, note);
    // What a restore that failed has made may have written before it was ended: the streams are not its own.
    this.#runtime.onMadeAgain = (id) => {
      for (const end of this.#streams.get(`${id}/`)?.values() ?? []) end.hasLeft = true;
    };
    this.#kernel = new Kernel(random, {
      lastPid: random.pick([14, 20, 30]),
      faultRate: isCalm ? 0 : random.pick([0, 0.002, 0.02]),
      note,
      broken,
      cutOff: (process) => this.#examineCutOff(process),
      inputEnded: (process) => this.#examineInputEnd(process),
      clockChanges: changes,
      cgroupVersion: random.pick([1, 2, 2]),
      exec: (process, request) => this.#runtime.exec(process, request) || this.#loggers.exec(process, request),
    });
    this.#loggers = new Loggers(() => this.#kernel, isCalm ? 0 : random.pick([0, 0.3]), broken);
    this.#daemon = new Daemon(this.#kernel.timeline, random, isCalm ? 0 : random.pick([0, 0.1, 0.5]));
    this.#observer = new Observer(this.#runtime.made, () => this.#kernel.timeline.nowMs, broken);
    this.#observer.onExit = (made) => this.#examineExit(made, temper.forks > 0);
    const fate = random.chance(0.15) ? random.pick<Fate>(["at a moment", "at a call", "at an exit"]) : "lives";
    const { sys, diesAt, die } =
      fate === "lives" ? immortal(this.#kernel.sys) : mortal(this.#kernel.sys, () => this.#kill());
    this.#wallOff = die;
    let exitsToDeath = fate === "at an exit" ? random.between(1, 3) : 0;
    const published = (topic: string): void => {
      // In the midst of telling it: it must have been recorded by then.
      if (topic === "/tasks/exit" && --exitsToDeath === 0) diesAt(random.between(1, 4));
    };
    if (fate === "at a call") diesAt(random.between(20, 1500));
    if (fate === "at a moment") this.#kernel.timeline.after(random.delay(2000), () => this.#kill());
    this.#shim = startShim({
      kernel: this.#kernel,
      sys,
      daemon: this.#daemon,
      observer: this.#observer,
      note: this.#note,
      broken,
      published,
    });
    const connect = (): Client => {
      const { client, breaks } = this.#shim.connect();
      this.#breakConnection = breaks;
      return client;
    };
    const hasFaults = (): boolean => this.#kernel.faults.count > 0;
    this.#client = new TaskClient(connect, hasFaults, this.#kernel.timeline, this.#note, broken);
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
        ...this.#deeds(),
      ]),
    };
  }

  /** What happened at least once. */
  #deeds(): readonly (readonly [name: string, count: number])[] {
    const { options, timeline, processes } = this.#kernel;
    const { exitCount, ooms } = this.#observer;
    const happened: readonly (readonly [name: string, count: number])[] = [
      ["clock set", options.clockChanges.filter(({ atMs }) => atMs <= timeline.nowMs).length],
      ["connection broken", this.#brokenConnections],
      ["delete after death", this.#deletes],
      ["exits told", exitCount],
      ["ooms told", ooms.size],
      ["pids came round", processes.rounds],
      ["restores", this.#runtime.restores],
    ];
    return happened.filter(([, count]) => count > 0);
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
      loggers: this.#loggers,
      closedInputs: this.#closedInputs,
      isCreating: (id) => this.#shim.isCreating(id),
      hasLeft: () => this.#shim.hasLeft(),
      isHealed: () => this.#isHealed,
      broken: (text) => this.#breaks(text),
      sleep,
    };
    const scenarios = Array.from({ length: random.pick([1, 1, 2, 3]) }, (_, i) => new Scenario(world, `c${i}`));
    if (this.#daemon.trouble > 0) void sleep(random.delay(100)).then(() => this.#daemon.goAway(random.delay(60_000)));
    if (!this.#isCalm && random.chance(0.3))
      void sleep(random.delay(1000)).then(() => {
        if (this.#isDone) return;
        this.#brokenConnections++;
        this.#breakConnection();
      });
    await Promise.all(scenarios.map((scenario) => scenario.walk()));
    if (this.#isKilled) return this.#afterDeath(scenarios, sleep);
    this.#isDone = true;
    this.#heal();
    await Promise.all(scenarios.map((scenario) => scenario.end()));
    for (const id of this.#shim.halfMade) this.#runtime.remove(id);
    for (const container of this.#runtime.containers.values()) this.#breaks(`the runtime still has ${container.id}`);
    // Answers on their way.
    await sleep(1000);
    for (const call of this.#client.waiting) this.#breaks(`never answered: ${call}`);
    await this.#client.call("Shutdown", {});
    if (!this.#shim.hasLeft()) this.#breaks("Shutdown is without effect");
    this.#client.close();
    await this.#shim.publisher.idle();
    await this.#shim.tasks.drained();
    this.#shim.publisher.close();
    await this.#shim.end();
  }

  /** kill -9, unless all is done or it was before. */
  #kill(): boolean {
    if (this.#isDone || this.#isKilled) return false;
    this.#note?.("the shim is killed");
    this.#isKilled = true;
    this.#wallOff();
    this.#kernel.endProcess();
    return true;
  }

  /** The daemon sees the connection end, and has what is left of each container deleted. */
  async #afterDeath(scenarios: readonly Scenario[], sleep: (ms: number) => Promise<void>): Promise<void> {
    const isUseless = this.#random.chance(0.2);
    this.#runtime.manners = { ...this.#runtime.manners, trouble: isUseless ? 1 : 0 };
    this.#kernel.faults.rate = 0;
    const kernel = this.#kernel;
    for (const { id, bundle, hasBundle } of scenarios) {
      if (!hasBundle) continue;
      const told = this.#observer.exitOf(id);
      // A record that the disk did not take is said in the log.
      const wanted = kernel.faults.has("writeText", "rename") ? undefined : told;
      for (let times = this.#random.between(1, 2); times > 0; times--) {
        this.#deletes++;
        await runDelete({
          kernel,
          id,
          bundle,
          told: wanted,
          observer: this.#observer,
          note: this.#note,
          broken: (text) => this.#breaks(text),
        });
      }
      await sleep(20);
      for (const left of examineRemains(kernel, isUseless ? undefined : this.#runtime, id, bundle))
        this.#breaks(`left by delete: ${left}`);
    }
  }

  #heal(): void {
    this.#note?.("from now on nothing fails");
    this.#isHealed = true;
    this.#kernel.faults.rate = 0;
    this.#runtime.manners = { ...this.#runtime.manners, trouble: 0 };
    this.#daemon.comeBack();
    this.#loggers.trouble = 0;
    for (const reader of this.#readers) reader.hurry();
  }

  /** Readers come and go, and no process hears of it, unless something has failed. */
  #examineCutOff(process: VirtualProcess): void {
    if (!this.#isCalm || this.#kernel.isEnded || !this.#runtime.made.some((made) => made.process === process)) return;
    this.#breaks(`${process.what} is cut off from its output`);
  }

  /** Clients come and go here too: the end of the input comes when it is asked for. */
  #examineInputEnd(process: VirtualProcess): void {
    if (!this.#isCalm || this.#kernel.isEnded) return;
    const made = this.#runtime.made.find((each) => each.process === process);
    if (made === undefined || this.#closedInputs.has(`${made.containerId}/${made.execId}`)) return;
    this.#breaks(`${process.what}'s input has ended, and nobody has closed it`);
  }

  /** An exit is being told: what it wrote is where its reader finds it, and an out-of-memory kill was told before. */
  #examineExit({ containerId, execId, outputs }: MadeProcess, mayHaveChildren: boolean): void {
    const container = this.#runtime.containers.get(containerId);
    const wasSeen =
      this.#kernel.faults.count === 0 && execId === "" && container !== undefined && container.oomKillsInSight > 0;
    if (wasSeen && !this.#observer.ooms.has(containerId))
      this.#breaks(`${containerId}: its OOM is not told before its exit`);
    for (const [fd, reader] of this.#streams.get(`${containerId}/${execId}`) ?? []) {
      const written = outputs.get(fd)?.written ?? 0;
      // What never filled the FIFO was not held up by anything.
      if (mayHaveChildren || reader.hasLeft || written > reader.holds || reader.arrived === written) continue;
      this.#breaks(
        `${reader.path}: ${written} bytes were written before the exit that is told, ${reader.arrived} have come`,
      );
    }
  }

  /** All is over: what is left that should not be, and what is missing. */
  #examine(): void {
    if (!this.#isOver)
      this.#breaks(`nothing happens any more, and these wait: ${[...this.#client.waiting].join(", ")}`);
    if (this.#isKilled) {
      const wrong = this.#daemon.compare(this.#shim.published, true);
      if (wrong !== undefined) this.#breaks(wrong);
      return;
    }
    this.#observer.end();
    for (const reader of this.#readers) reader.finish();
    this.#loggers.finish();
    const { connections, calls } = this.#shim.server;
    if (connections + calls > 0) this.#breaks(`the server still has ${connections} connections and ${calls} calls`);
    for (const left of this.#kernel.leftovers()) this.#breaks(`left behind: ${left}`);
    for (const { what, ended } of this.#kernel.processes.children) {
      this.#breaks(`left behind: ${ended === undefined ? "process" : "zombie"} ${what}`);
    }
    const { owned, held, announcements } = this.#shim.reaper.state();
    if (owned.length + held.length + announcements > 0) this.#breaks("the reaper still has something in hand");
    if (this.#shim.tasks.containerCount > 0) this.#breaks("the shim still has a container");
    const missing = this.#daemon.compare(this.#shim.published, false);
    if (missing !== undefined) this.#breaks(missing);
    if (this.#kernel.faults.count === 0) this.#examineFiles();
    if (!this.#kernel.faults.has("umount", "open", "readText", "readlink", "unlink")) {
      for (const point of this.#kernel.mounts.points) this.#breaks(`left behind: mount at ${point}`);
    }
  }

  #examineFiles(): void {
    for (const path of this.#kernel.files.paths()) {
      if (/-process\.json$|\/log-\d+-\d+\.json$|\/resources-|\.new$|\.sock$/.test(path))
        this.#breaks(`left behind: ${path}`);
    }
  }
}
