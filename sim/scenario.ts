// What a client does with one container: a random walk through everything that can be asked, execs beside it, and in the
// end whatever it takes to be rid of it.

import { StatusError } from "ttrpc";
import type { Kernel } from "./kernel.ts";
import type { Observer } from "./observer.ts";
import type { Random } from "./random.ts";
import type { Loggers } from "./loggers.ts";
import { Reader, type StreamEnd } from "./reader.ts";
import type { FakeRuntime } from "./runtime.ts";
import type { TaskClient } from "./task-client.ts";

const codeNotFound = 5;
const codeUnavailable = 14;
const runningStatus = 2;
const stoppedStatus = 3;
const pausingStatus = 5;
const encoder = new TextEncoder();

export interface World {
  readonly kernel: Kernel;
  readonly random: Random;
  readonly runtime: FakeRuntime;
  readonly client: TaskClient;
  readonly observer: Observer;
  readonly readers: Reader[];
  /** By "container/exec": who reads its output, by fd, as it was last accepted. */
  readonly streams: Map<string, ReadonlyMap<number, StreamEnd>>;
  readonly loggers: Loggers;
  /** By "container/exec": CloseIO has been asked for. */
  readonly closedInputs: Set<string>;
  /** Its Create is under way in the shim. */
  readonly isCreating: (id: string) => boolean;
  /** Shutdown was obeyed. */
  readonly hasLeft: () => boolean;
  /** Nothing fails any more. */
  readonly isHealed: () => boolean;
  readonly broken: (text: string) => void;
  sleep(ms: number): Promise<void>;
}

interface Streams {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
  /** Who reads the outputs, by fd. */
  readonly ends: ReadonlyMap<number, StreamEnd>;
}

export class Scenario {
  readonly #world: World;
  readonly id: string;
  readonly bundle: string;
  /** The daemon has heard of it, and not of its end: if the shim dies, its `delete` is called. */
  hasBundle = false;
  readonly #execs: Promise<void>[] = [];
  #streams = 0;
  /** Of a container that is made from a checkpoint when it is started. */
  #restored: Streams | undefined;
  /** A connection broke while it was being paused. */
  #mayBePausing = false;
  #execCount = 0;

  constructor(world: World, id: string) {
    this.#world = world;
    this.id = id;
    this.bundle = `/run/${id}`;
  }

  /** The random part. */
  async walk(): Promise<void> {
    const { random, sleep, client } = this.#world;
    this.#makeBundle();
    await sleep(random.delay(50));
    const streams = this.#makeStreams();
    const { terminal, stdin, stdout, stderr } = streams;
    this.#claim(streams, "");
    const overlay = { type: "overlay", source: "overlay", target: "", options: ["lowerdir=/a"] };
    const readOnly = { type: "bind", source: "/run", target: "", options: ["rbind", "ro"] };
    const created = await client.call("Create", {
      id: this.id,
      bundle: this.bundle,
      terminal,
      stdin,
      stdout,
      stderr,
      rootfs: random.chance(0.3) ? (random.chance(0.5) ? [overlay] : [overlay, readOnly]) : [],
      checkpoint: random.chance(0.1) ? "/checkpoint" : "",
    });
    if (created instanceof StatusError) {
      // It may be on its way to the shim all the same.
      if (created.code === codeUnavailable) await sleep(3_000);
      return;
    }
    if (created.pid === 0) this.#restored = streams;
    else this.#follow(streams, created.pid, "");
    void this.#wait("");
    for (let steps = random.between(2, 14); steps > 0; steps--) {
      await sleep(random.delay(60));
      await this.#step(random.chance(0.7) ? "" : `e${random.below(this.#execCount + 1)}`);
    }
    await Promise.all(this.#execs);
  }

  /** Ends it, when nothing fails any more. */
  async end(): Promise<void> {
    const { client, broken, sleep, random, kernel } = this.#world;
    // As long as the slowest call of a runtime may take, which may be under way.
    const untilMs = kernel.timeline.nowMs + 1_100_000;
    for (let pauseMs = 200; kernel.timeline.nowMs < untilMs; pauseMs *= 1.2) {
      // Whoever asked for it may be gone.
      while (this.#world.isCreating(this.id)) await sleep(500);
      const state = await client.call("State", { id: this.id });
      if (state instanceof StatusError) {
        if (state.code === codeUnavailable) continue;
        if (state.code !== codeNotFound) broken(`State of ${this.id}: ${state.message}`);
        this.hasBundle = false;
        return;
      }
      if (random.chance(0.5)) await client.call("Resume", { id: this.id });
      if (random.chance(0.8)) {
        const killed = await client.call("Kill", { id: this.id, signal: 9, all: random.chance(0.5) });
        if (!(killed instanceof StatusError) || killed.code === codeNotFound) {
          await client.call("Wait", { id: this.id });
          await this.#checkEnds();
        }
      }
      const deleted = await client.call("Delete", { id: this.id });
      if (!(deleted instanceof StatusError)) {
        this.#world.observer.answered("Delete", this.id, "", deleted);
        this.hasBundle = false;
        return;
      }
      await sleep(pauseMs);
    }
    broken(`${this.id} cannot be deleted`);
  }

  /** Whoever waits for the end of init's streams gets it before Delete, when nobody holds them any more. */
  async #checkEnds(): Promise<void> {
    const { sleep, runtime, broken, readers } = this.#world;
    const mine = readers.filter(({ path, expected }) => path.startsWith(`${this.bundle}-`) && expected !== undefined);
    for (let tries = 0; tries < 100; tries++) {
      const isAlive = (runtime.containers.get(this.id)?.living.length ?? 0) > 0;
      if (isAlive || mine.every((reader) => reader.ended || reader.hasLeft)) return;
      await sleep(100);
    }
    for (const { path, ended } of mine) if (!ended) broken(`${path} does not end before its container's Delete`);
  }

  #makeBundle(): void {
    const { kernel, runtime, random } = this.#world;
    const own = random.chance(0.6);
    runtime.setPidNamespace(this.id, own);
    kernel.files.put(this.bundle, { kind: "folder" });
    const namespaces = own ? [{ type: "pid" }] : [];
    const spec = { process: {}, linux: { namespaces, cgroupsPath: `/${this.id}` } };
    kernel.files.putText(`${this.bundle}/config.json`, JSON.stringify(spec));
    this.hasBundle = true;
  }

  #makeStreams(): Streams {
    const { random, loggers } = this.#world;
    const terminal = random.chance(0.2);
    const stdin = random.chance(0.3) ? this.#makeInput() : "";
    const ends = new Map<number, StreamEnd>();
    if (random.chance(0.1)) {
      const { address, streams } = loggers.make(random.pick([1, 2]));
      ends.set(1, streams[0]);
      if (!terminal) ends.set(2, streams[1]);
      return { terminal, stdin, stdout: address, stderr: random.chance(0.5) ? address : "", ends };
    }
    const output = (fd: number): string => {
      if (random.chance(0.25)) return "";
      if (random.chance(0.1)) return `file://${this.bundle}/log-${this.#streams++}.txt`;
      const reader = this.#makeReader();
      ends.set(fd, reader);
      return reader.path;
    };
    const stdout = output(1);
    // The runtime's terminal has one output.
    const stderr = terminal ? "" : output(2);
    return { terminal, stdin, stdout, stderr, ends };
  }

  #makeReader(): Reader {
    const { kernel, random, broken, readers, isHealed, sleep } = this.#world;
    const laziness = random.pick([1, 20, 500, 60_000]);
    const reader = new Reader(kernel, `${this.bundle}-${this.#streams++}`, laziness, broken);
    readers.push(reader);
    if (isHealed()) reader.hurry();
    else if (random.chance(0.15)) {
      void sleep(random.delay(300)).then(async () => {
        reader.leave();
        await sleep(random.delay(300));
        if (random.chance(0.5)) reader.comeBack();
      });
    }
    return reader;
  }

  /** A client that writes a little and goes, or stays. */
  #makeInput(): string {
    const { kernel, random, sleep } = this.#world;
    const path = `${this.bundle}-${this.#streams++}`;
    const pipe = kernel.files.makeFifo(path, 64);
    void sleep(random.delay(100)).then(async () => {
      if (pipe.readers === 0) return;
      pipe.open("write");
      pipe.write(new Uint8Array(random.between(1, 80)));
      await sleep(random.delay(300));
      pipe.close("write");
    });
    return path;
  }

  #claim({ ends }: Streams, execId: string): void {
    this.#world.streams.set(`${this.id}/${execId}`, ends);
  }

  #follow({ ends }: Streams, pid: number, execId: string): void {
    const made = this.#world.runtime.find(this.id, execId, pid);
    // Else another client has used the id again meanwhile, and it is its exec that was started.
    if (this.#world.streams.get(`${this.id}/${execId}`) !== ends) return;
    for (const [fd, end] of ends) end.expected = made?.outputs.get(fd);
  }

  async #wait(execId: string): Promise<void> {
    const { client, observer } = this.#world;
    const answer = await client.call("Wait", { id: this.id, execId });
    if (!(answer instanceof StatusError)) observer.answered("Wait", this.id, execId, answer);
  }

  async #step(execId: string): Promise<void> {
    const { random, client, runtime, kernel, observer, broken } = this.#world;
    const id = this.id;
    switch (random.below(18)) {
      case 0:
      case 1:
      case 2: {
        const started = await client.call("Start", { id });
        if (this.#restored !== undefined && !(started instanceof StatusError))
          this.#follow(this.#restored, started.pid, "");
        return;
      }
      case 3:
      case 4:
      case 5:
        this.#execs.push(this.#exec());
        return;
      case 6:
        await client.call("Kill", { id, execId, signal: random.pick([0, 9, 15, 15, 10, 99]), all: random.chance(0.3) });
        return;
      case 7: {
        const state = await client.call("State", { id, execId });
        if (state instanceof StatusError) return;
        // While the exit of one that was never started is on its way, it passes for running.
        const isAlive = runtime.made.some((made) => made.process.pid === state.pid && made.process.ended === undefined);
        if (state.status === runningStatus && isAlive && !observer.hasStarted(id, execId))
          broken(`${id}/${execId} is running and its start untold`);
        if (state.status !== stoppedStatus) return;
        if (state.exitStatus !== 255 && observer.hadProcess(id) && !observer.hasExited(id, execId))
          broken(`${id}/${execId} is stopped and untold`);
        return;
      }
      case 8:
        await client.call("Pids", { id });
        return;
      case 9:
      case 10: {
        const answer = await client.call(random.pick(["Pause", "Resume"]), { id });
        if (!(answer instanceof StatusError)) return;
        if (answer.code === codeUnavailable) this.#mayBePausing = true;
        if (this.#mayBePausing) return;
        const state = await client.call("State", { id });
        // Nobody else pauses it, and the answer to this one is here.
        if (!(state instanceof StatusError) && state.status === pausingStatus)
          broken(`${id} is pausing for ever: ${answer.message}`);
        return;
      }
      case 11:
        this.#world.closedInputs.add(`${id}/${execId}`);
        await client.call(random.pick(["ResizePty", "CloseIO"]), { id, execId, width: 80, height: 25, stdin: true });
        return;
      case 12: {
        const deleted = await client.call("Delete", { id, execId });
        if (deleted instanceof StatusError) return;
        observer.answered("Delete", id, execId, deleted);
        if (execId === "") this.hasBundle = false;
        return;
      }
      case 13:
        await client.call("Update", { id, resources: { typeUrl: "x", value: encoder.encode("{}") } });
        return;
      case 14: {
        const stats = await client.call("Stats", { id });
        const wanted = `io.containerd.cgroups.v${kernel.options.cgroupVersion}.Metrics`;
        if (!(stats instanceof StatusError) && stats.stats?.typeUrl !== wanted)
          broken(`${id}'s stats are ${stats.stats?.typeUrl}`);
        return;
      }
      case 15:
        await client.call("Checkpoint", { id, path: `${this.bundle}/checkpoint` });
        return;
      case 16:
        // With a container it does nothing.
        if (!observer.isThere(id)) return;
        await client.call("Shutdown", { id });
        if (observer.isThere(id) && this.#world.hasLeft()) broken(`Shutdown while ${id} is there`);
        return;
      default: {
        const victim = random.pick(runtime.containers.get(id)?.living ?? []);
        if (victim === undefined) return;
        if (random.chance(0.5)) runtime.containers.get(id)?.outOfMemory(victim);
        else kernel.processes.send(victim, 9);
      }
    }
  }

  async #exec(): Promise<void> {
    const { random, client, sleep, observer } = this.#world;
    const id = this.id;
    // Some ids are used again.
    const execId =
      random.chance(0.2) && this.#execCount > 0 ? `e${random.below(this.#execCount)}` : `e${this.#execCount++}`;
    const streams = this.#makeStreams();
    const { terminal, stdin, stdout, stderr } = streams;
    const spec = { typeUrl: "x", value: encoder.encode("{}") };
    const added = await client.call("Exec", { id, execId, terminal, stdin, stdout, stderr, spec });
    if (added instanceof StatusError) {
      // It may have been added: then nobody knows any more whose streams the id has.
      if (added.code === codeUnavailable) this.#world.streams.delete(`${id}/${execId}`);
      return;
    }
    this.#claim(streams, execId);
    if (random.chance(0.1)) {
      this.#world.closedInputs.add(`${id}/${execId}`);
      await client.call("CloseIO", { id, execId, stdin: true });
    }
    const waiting = random.chance(0.8) ? this.#wait(execId) : undefined;
    await sleep(random.delay(30));
    const started = await client.call("Start", { id, execId });
    if (!(started instanceof StatusError)) this.#follow(streams, started.pid, execId);
    await sleep(random.delay(100));
    if (random.chance(0.5)) await client.call("Kill", { id, execId, signal: 9 });
    if (random.chance(0.3) && !(started instanceof StatusError)) await Promise.race([waiting, sleep(500)]);
    if (random.chance(0.7)) {
      const deleted = await client.call("Delete", { id, execId });
      if (!(deleted instanceof StatusError)) observer.answered("Delete", id, execId, deleted);
    }
  }
}
