// Random lives of a reaper on the virtual kernel: starts, runtime calls that leave processes behind, strays, exits,
// signals and sweeps in any order, with callbacks that do the same in the middle of a sweep. Each step is checked
// against the births of the processes; what does not hold throws.

import assert from "node:assert/strict";
import { EAGAIN } from "../sys/errno.ts";
import { MoorError } from "../sys/error.ts";
import { SIGKILL } from "../sys/flags.ts";
import type { Pid } from "../sys/sys.d.ts";
import { Kernel, type VirtualProcess } from "./kernel.fixture.ts";
import { type Announcement, type Exit, type OwnedProcess, Reaper } from "./reaper.ts";

export type Step = readonly [what: (typeof kinds)[number], which: number, callback: (typeof callbacks)[number]];

export const kinds = [
  "spawn",
  "beginCall",
  "endRuntime",
  "finishCall",
  "exit",
  "stray",
  "signal",
  "sweep",
  "foreign",
  "claimForeign",
] as const;

/** What the owner's callback does. */
export const callbacks = ["nothing", "throw", "spawn", "sweep", "finishCall", "signalAll", "announce"] as const;

interface Watched {
  birth: number;
  owned: OwnedProcess | undefined;
  seen: number;
}

interface Call {
  readonly announcement: Announcement;
  readonly runtime: OwnedProcess;
  /** The process that the runtime leaves behind. */
  readonly made: VirtualProcess | undefined;
}

export class Walk {
  readonly kernel = new Kernel();
  readonly #reaper: Reaper;
  readonly #watched = new Map<number, Watched>();
  readonly #calls: Call[] = [];

  constructor() {
    const quiet = () => undefined;
    this.#reaper = new Reaper(this.kernel.sys, {
      debug: quiet,
      info: quiet,
      warn: quiet,
      error: (message, fields) => assert.match(String(fields?.["error"]), /meant/, message),
    });
    this.kernel.onReap = ({ birth, ended }) => {
      assert.ok(ended !== undefined);
      const watched = this.#watched.get(birth);
      if (watched !== undefined) assert.equal(watched.seen, 1, "it is reaped after its owner was told");
      const announced = this.#calls.some(({ made }) => made?.birth === birth);
      assert.ok(watched !== undefined || !announced, "what may still be announced is not reaped");
    };
  }

  take([what, which, callback]: Step): void {
    const { kernel } = this;
    if (what === "spawn") this.#spawn(callback);
    else if (what === "beginCall") this.#beginCall(which);
    else if (what === "endRuntime") this.#endRuntime(this.#pick(this.#calls, which));
    else if (what === "finishCall") this.#finish(this.#pick(this.#calls, which), callback, which % 4 === 0);
    else if (what === "exit") this.#exit(this.#pick([...kernel.processes.values()], which), which);
    else if (what === "stray") this.#stray();
    else if (what === "signal") this.#signal(this.#pick([...this.#watched.values()], which), which);
    else if (what === "sweep") this.#sweep();
    else if (what === "foreign") kernel.fork(99 as Pid);
    else this.#claimForeign();
  }

  /** Lets everything come to its end, and looks whether anything is left. */
  end(): void {
    for (const call of [...this.#calls]) {
      this.#endRuntime(call);
      this.#sweep();
      this.#finish(call, "nothing", false);
    }
    for (const process of [...this.kernel.processes.values()]) this.#exit(process, 0);
    this.#sweep();
    // The last callbacks may have started something.
    for (const process of [...this.kernel.processes.values()]) this.#exit(process, 0);
    for (const call of [...this.#calls]) this.#finish(call, "nothing", false);
    this.#sweep();
    const { owned, held, orphans, announcements } = this.#reaper.state();
    assert.deepEqual({ owned, held, announcements }, { owned: [], held: [], announcements: 0 });
    assert.deepEqual([...this.kernel.processes.keys()], [], "a process or zombie is left");
    assert.equal(this.kernel.openPidfds.size, 0);
    for (const { seen, owned: mine } of this.#watched.values()) assert.ok(seen === 1 && mine?.exit !== undefined);
    assert.equal(orphans, this.kernel.reaped.filter((birth) => !this.#watched.has(birth)).length);
    assert.equal(new Set(this.kernel.reaped).size, this.kernel.reaped.length);
  }

  #pick<T>(from: readonly T[], which: number): T | undefined {
    return from[which % Math.max(from.length, 1)];
  }

  #onExit(watched: Watched, callback: Step[2]): (exit: Exit) => void {
    return (exit) => {
      watched.seen++;
      const process = this.kernel.get(exit.pid);
      assert.equal(process.birth, watched.birth, "the exit is its own");
      assert.deepEqual([exit.status, exit.signal], trueExit(process), "and the true one");
      if (watched.owned !== undefined) assert.equal(watched.owned.exit, exit);
      this.#inCallback(callback);
    };
  }

  /** Undefined when no pid is free. */
  #spawn(callback: Step[2]): OwnedProcess | undefined {
    const watched: Watched = { birth: -1, owned: undefined, seen: 0 };
    try {
      const request = { file: "x", argv: [], env: [], fds: [] };
      watched.owned = this.#reaper.spawn(request, this.#onExit(watched, callback));
    } catch (thrown) {
      if (thrown instanceof MoorError && thrown.errno === EAGAIN) return undefined;
      throw thrown;
    }
    watched.birth = this.kernel.get(watched.owned.pid).birth;
    this.#watched.set(watched.birth, watched);
    return watched.owned;
  }

  #beginCall(which: number): void {
    const announcement = this.#reaper.announce();
    const runtime = this.#spawn("nothing");
    if (runtime === undefined) return announcement.end();
    const made = which % 5 === 0 ? undefined : this.kernel.fork(runtime.pid);
    this.#calls.push({ announcement, runtime, made });
  }

  #endRuntime(call: Call | undefined): void {
    if (call === undefined || call.runtime.exit !== undefined) return;
    const process = this.kernel.get(call.runtime.pid);
    if (process.ended === undefined) this.kernel.exit(process.pid, 0);
  }

  /** What comes after the runtime's exit: the process it made is claimed (or not: the call has failed), the end announced. */
  #finish(call: Call | undefined, callback: Step[2], fails: boolean): void {
    if (call === undefined || call.runtime.exit === undefined || !this.#calls.includes(call)) return;
    this.#calls.splice(this.#calls.indexOf(call), 1);
    const { announcement, made } = call;
    if (made !== undefined && !fails) {
      const watched: Watched = { birth: made.birth, owned: undefined, seen: 0 };
      this.#watched.set(made.birth, watched);
      watched.owned = announcement.claim(made.pid, this.#onExit(watched, callback));
      assert.equal(watched.owned.exit !== undefined, watched.seen === 1);
    }
    announcement.end();
  }

  #exit(process: VirtualProcess | undefined, which: number): void {
    if (process === undefined || process.ended !== undefined) return;
    if (which % 3 === 0) this.kernel.killed(process.pid, 1 + (which % 31));
    else this.kernel.exit(process.pid, which % 256);
  }

  #stray(): void {
    const parent = this.kernel.fork(99 as Pid);
    if (parent === undefined) return;
    this.kernel.fork(parent.pid);
    this.kernel.exit(parent.pid, 0);
  }

  #signal(watched: Watched | undefined, which: number): void {
    if (watched?.owned === undefined) return;
    const target = this.kernel.processes.get(watched.owned.pid);
    const lives = target?.birth === watched.birth && target.ended === undefined;
    const before = this.kernel.kills.length;
    assert.equal(watched.owned.signal(which % 2 === 0 ? SIGKILL : 15), lives, "it says whether it was sent");
    const sent = this.kernel.kills.slice(before);
    assert.deepEqual(
      sent.map(([process]) => process?.birth),
      lives ? [watched.birth] : [],
      "it is sent to its own process or not at all",
    );
  }

  #sweep(): void {
    if (!this.kernel.childSignalPending) return;
    this.kernel.childSignalPending = false;
    this.#reaper.childSignal();
  }

  #claimForeign(): void {
    const foreign = [...this.kernel.processes.values()].find(({ parent }) => parent !== this.kernel.self);
    const announcement = this.#reaper.announce();
    const refused = (thrown: unknown) => thrown instanceof MoorError && thrown.code === "failed_precondition";
    if (foreign !== undefined) assert.throws(() => announcement.claim(foreign.pid), refused);
    announcement.end();
  }

  #inCallback(callback: Step[2]): void {
    if (callback === "throw") throw new Error("meant");
    if (callback === "spawn") this.#spawn("nothing");
    else if (callback === "sweep") this.#reaper.childSignal();
    else if (callback === "finishCall") for (const call of [...this.#calls]) this.#finish(call, "sweep", false);
    else if (callback === "signalAll") for (const each of this.#watched.values()) this.#signal(each, 0);
    else if (callback === "announce") this.#reaper.announce().end();
  }
}

function trueExit({ ended }: VirtualProcess): [status: number, signal: number] {
  assert.ok(ended !== undefined, "its owner is told of it when it has ended");
  return ended.code === 1 ? [ended.status, 0] : [128 + ended.status, ended.status];
}
