// All children of the shim: the only code that starts, waits for, signals or reaps processes. An exit is peeked at,
// handed to its owner, and only then reaped, so that a pid in anybody's hands is never another process's. What nobody
// owns is held as a zombie as long as a runtime call may still announce it, and reaped as an orphan after that.

import { ECHILD, ENOENT, errnoName, isErrno } from "../sys/errno.ts";
import { MoorError } from "../sys/error.ts";
import { SIGKILL } from "../sys/flags.ts";
import { passGate } from "../sys/gates.ts";
import type { Log } from "../sys/log.ts";
import type { ChildExit, Pid, SpawnRequest, Sys } from "../sys/sys.d.ts";
import { readChildren } from "./children.ts";
import { Child, type Exit, type OwnedProcess } from "./owned-process.ts";

// The types that come with a reaper, by the name of the file its users import.
export type { Exit, OwnedProcess };

/** Open while a runtime call may still tell of a process that it has made. */
export interface Announcement {
  /**
   * Makes the process ours. onExit is called synchronously when its exit is seen, before it is reaped: from within this
   * call when it has ended already.
   * @throws MoorError failed_precondition: it is no child of ours, or has an owner already, or the announcement is over.
   */
  claim(pid: Pid, onExit?: (exit: Exit) => void): OwnedProcess;
  /**
   * The runtime has failed to tell of a process that it may have made: children of ours that nobody owns and that are meant
   * get SIGKILL, as soon as no other call that is under way now can still claim them.
   */
  endStrays(isMeant: (pid: Pid) => boolean): void;
  /** Once, however the call ended (a second time does nothing): exits held for it alone are reaped as orphans. */
  end(): void;
}

/** Figures for the state dump. */
export interface ReaperState {
  /** Children that somebody waits for. */
  readonly owned: readonly Pid[];
  /** Zombies that a runtime call may still announce. */
  readonly held: readonly Pid[];
  /** How many nobody's exits have been reaped. */
  readonly orphans: number;
  /** How many runtime calls may announce a process now. */
  readonly announcements: number;
}

/** One peeked exit on its way to its owner. */
interface Ending {
  readonly child: Child;
  readonly exit: Exit;
  /** The kernel knows it no more: nothing is there to be reaped. */
  readonly lost: boolean;
}

export class Reaper {
  readonly #sys: Sys;
  readonly #log: Log;
  /** Living ones, and zombies whose exit is being handed over. */
  readonly #owned = new Map<Pid, Child>();
  /** Zombies without an owner, each with the announcements that were open when it was seen and still are. */
  readonly #held = new Map<Pid, Set<Announcement>>();
  /** Living ones without an owner that are to be ended, each with the announcements that may still claim it. */
  readonly #strays = new Map<Pid, Set<Announcement>>();
  readonly #announcements = new Set<Announcement>();
  readonly #beforeSpawn: () => void;
  #orphans = 0;
  /** How many hand-overs are under way, one inside the other: no look at the kernel meanwhile. */
  #settling = 0;
  #lookAgain = false;

  /** @param beforeSpawn called before each start of a process. */
  constructor(sys: Sys, log: Log, beforeSpawn: () => void = () => undefined) {
    this.#sys = sys;
    this.#log = log;
    this.#beforeSpawn = beforeSpawn;
  }

  /**
   * Takes care of all exits there are. To be called for each SIGCHLD (which stands for any number of exits); safe at any
   * other time too.
   */
  childSignal(): void {
    this.#lookAgain = true;
    while (this.#lookAgain && this.#settling === 0) {
      this.#lookAgain = false;
      if (this.#settle(this.#look())) this.#lookAgain = true;
    }
  }

  /**
   * Starts a process. It is a child of its own making: no announcement is needed.
   * @throws MoorError not_found when there is no such file, else unknown.
   */
  spawn(request: SpawnRequest, onExit?: (exit: Exit) => void): OwnedProcess {
    this.#beforeSpawn();
    const made = this.#sys.spawn(request);
    if (isErrno(made)) {
      const text = `start ${request.file}: ${errnoName(made)}`;
      throw new MoorError(made === ENOENT ? "not_found" : "unknown", text, { errno: made });
    }
    // Its zombie keeps the pid as well as a pidfd would, and costs no fd.
    this.#sys.close(made.pidfd);
    // However soon it ends: its exit is looked for when the loop tells of a SIGCHLD, which is after this.
    return this.#own(made.pid, onExit);
  }

  /** To be called before a runtime call that makes a process, and ended after it. */
  announce(): Announcement {
    const announcement: Announcement = {
      claim: (pid, onExit) => this.#claim(announcement, pid, onExit),
      endStrays: (isMeant) => this.#noteStrays(isMeant),
      end: () => this.#end(announcement),
    };
    this.#announcements.add(announcement);
    return announcement;
  }

  /**
   * Makes a child ours that was so in an image of the program before this one. No call of childSignal() in between: as an
   * orphan it would be reaped.
   * @param reaped how it ended, when it is known to have been reaped.
   */
  adopt(pid: Pid, onExit?: (exit: Exit) => void, reaped?: ChildExit): OwnedProcess {
    const child = this.#own(pid, onExit);
    if (reaped === undefined) return child;
    this.#owned.delete(pid);
    child.note(exitOf(reaped, this.#sys.realtimeNs()));
    child.handOver();
    return child;
  }

  state(): ReaperState {
    return {
      owned: [...this.#owned.keys()],
      held: [...this.#held.keys()],
      orphans: this.#orphans,
      announcements: this.#announcements.size,
    };
  }

  #own(pid: Pid, onExit: ((exit: Exit) => void) | undefined): Child {
    const child = new Child(this.#sys, pid, onExit);
    this.#owned.set(pid, child);
    return child;
  }

  #claim(announcement: Announcement, pid: Pid, onExit: ((exit: Exit) => void) | undefined): OwnedProcess {
    const refuse = (why: string) => new MoorError("failed_precondition", `claim process ${pid}: ${why}`);
    if (!this.#announcements.has(announcement)) throw refuse("its announcement is over");
    if (this.#owned.has(pid)) throw refuse("it has an owner already");
    const seen = this.#sys.peekPid(pid);
    if (isErrno(seen)) throw refuse(seen === ECHILD ? "no child of ours" : errnoName(seen));
    this.#held.delete(pid);
    this.#strays.delete(pid);
    const child = this.#own(pid, onExit);
    if (seen !== undefined) {
      this.#settle([seen]);
      if (this.#lookAgain) this.childSignal();
    }
    return child;
  }

  #end(announcement: Announcement): void {
    if (!this.#announcements.delete(announcement)) return;
    for (const open of this.#held.values()) open.delete(announcement);
    for (const open of this.#strays.values()) open.delete(announcement);
    this.#killUnclaimable();
    this.#reapUnclaimable();
    // While something was held, strangers may have stood behind it unseen.
    this.childSignal();
  }

  // Only those that are there now: what comes later is another call's.
  #noteStrays(isMeant: (pid: Pid) => boolean): void {
    for (const pid of readChildren(this.#sys)) {
      if (this.#owned.has(pid) || this.#held.has(pid) || this.#strays.has(pid)) continue;
      if (isMeant(pid)) this.#strays.set(pid, new Set(this.#announcements));
    }
    this.#killUnclaimable();
  }

  /** A stray that has ended meanwhile is a zombie, which keeps the pid, or was reaped and is none any more. */
  #killUnclaimable(): void {
    for (const [pid, open] of this.#strays) {
      if (open.size > 0) continue;
      this.#strays.delete(pid);
      if (this.#sys.peekPid(pid) !== undefined) continue;
      this.#log.warn("a process that the runtime did not tell of is killed", { pid });
      this.#sys.kill(pid, SIGKILL);
    }
  }

  /** Exits that are neither known nor held yet, whoever they belong to. */
  #look(): readonly ChildExit[] {
    const seen: ChildExit[] = [];
    if (this.#held.size === 0) {
      const first = this.#firstForSomebody();
      if (first === undefined) return [];
      if (!this.#owned.has(first.pid)) seen.push(first);
    } else {
      // waitid shows the first zombie, again and again, and that is a held one: strangers are looked up by name. Where
      // the kernel has no list of children they come into view when the held ones go; claim() finds its own anyway.
      for (const pid of readChildren(this.#sys)) {
        if (this.#owned.has(pid) || this.#held.has(pid)) continue;
        const exit = this.#sys.peekPid(pid);
        if (exit !== undefined && !isErrno(exit)) seen.push(exit);
      }
    }
    for (const child of this.#owned.values()) {
      const exit = this.#sys.peekPid(child.pid);
      if (exit === ECHILD) seen.push({ pid: child.pid, code: lostCode, status: lostStatus });
      else if (exit !== undefined && !isErrno(exit)) seen.push(exit);
    }
    return seen;
  }

  /** The first zombie that somebody owns or may yet claim; those before it are nobody's and are reaped on the way. */
  #firstForSomebody(): ChildExit | undefined {
    for (;;) {
      const first = this.#sys.peekAny();
      if (first === undefined) return undefined;
      if (isErrno(first)) {
        // ECHILD: there are no children at all.
        if (first !== ECHILD) this.#log.error("children cannot be looked at", { error: errnoName(first) });
        return undefined;
      }
      if (this.#owned.has(first.pid) || this.#announcements.size > 0) return first;
      if (!this.#reapOrphan(first.pid)) return undefined;
    }
  }

  /**
   * Everything is noted first, then handed over, then reaped: a callback sees all exits of the sweep, and may spawn,
   * claim, signal and end announcements.
   * @returns whether there was anything, and it is gone now.
   */
  #settle(seen: readonly ChildExit[]): boolean {
    if (seen.length === 0) return false;
    const atNs = this.#sys.realtimeNs();
    const endings: Ending[] = [];
    for (const each of seen) {
      const child = this.#owned.get(each.pid);
      if (child === undefined) this.#held.set(each.pid, new Set(this.#announcements));
      else endings.push({ child, exit: exitOf(each, atNs), lost: each.code === lostCode });
    }
    this.#settling++;
    for (const { child, exit } of endings) child.note(exit);
    for (const { child, lost } of endings) {
      if (lost) this.#log.error("a child is gone and nobody knows how it ended", { pid: child.pid });
      try {
        child.handOver();
      } catch (thrown) {
        this.#log.error("who waited for a process failed", { pid: child.pid, error: describe(thrown) });
      }
    }
    let allGone = true;
    for (const { child, lost } of endings) {
      if (this.#owned.get(child.pid) === child) this.#owned.delete(child.pid);
      if (!lost && !this.#reap(child.pid)) allGone = false;
      GATE: passGate(this.#sys, "exit.reaped");
    }
    this.#reapUnclaimable();
    this.#settling--;
    return allGone;
  }

  #reapUnclaimable(): void {
    for (const [pid, open] of this.#held) {
      if (open.size > 0) continue;
      this.#held.delete(pid);
      this.#reapOrphan(pid);
    }
  }

  #reapOrphan(pid: Pid): boolean {
    this.#orphans++;
    this.#log.debug("orphan reaped", { pid });
    return this.#reap(pid);
  }

  /** Only for a zombie that was seen. False (never yet seen) would be an endless sweep if it was taken for a success. */
  #reap(pid: Pid): boolean {
    this.#strays.delete(pid);
    const reaped = this.#sys.reap(pid);
    if (reaped !== undefined && !isErrno(reaped)) return true;
    this.#log.error("a zombie cannot be reaped", { pid, error: reaped === undefined ? "it lives" : errnoName(reaped) });
    return false;
  }
}

/** CLD_EXITED of waitid(2); CLD_KILLED and CLD_DUMPED name a signal. */
const exitedCode = 1;
/** No code of the kernel's: waitid knows nothing of a child that nobody but us can have waited for. */
const lostCode = 0;
/** containerd's word for a status that nobody knows. */
const lostStatus = 255;

/** What waitid tells, as an exit seen at this time. */
export function exitOf({ pid, code, status }: ChildExit, atNs: bigint): Exit {
  if (code === exitedCode || code === lostCode) return { pid, status: status & 0xff, signal: 0, atNs };
  return { pid, status: 128 + status, signal: status, atNs };
}

function describe(thrown: unknown): string {
  return thrown instanceof Error ? `${thrown.message}\n${thrown.stack ?? ""}` : String(thrown);
}
