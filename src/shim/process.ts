// One process of a container, init or exec, as the shim knows it: its plain data, its place in the state table, its
// stdio and its handle at the reaper, and who waits for its exit. It asks the table for everything and runs nothing
// itself; container.ts does.

import type { KeptStdio, Stdio } from "../io/stdio.ts";
import type { Exit, OwnedProcess } from "../reaper/reaper.ts";
import { MoorError } from "../sys/error.ts";
import type { Pid } from "../sys/sys.d.ts";
import { type Part, unkept } from "./keeper.ts";
import {
  alreadyFinished,
  type Cell,
  execTable,
  type Happening,
  initTable,
  next,
  type ProcessState,
  type Request,
} from "./state-table.ts";

/** What is known of a process, as plain data: enough to go on with in another process image. */
export interface ProcessData {
  readonly kind: "init" | "exec";
  readonly containerId: string;
  /** Empty for init. */
  readonly execId: string;
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
  state: ProcessState;
  /** 0 until there is one. */
  pid: Pid;
  /** Set when the exit is known; clients are told once it is announced. */
  exitStatus: number | undefined;
  exitedAtNs: bigint | undefined;
  /** Which signal has ended it; 0 when none has. */
  exitSignal?: number;
  /** The start was tried and failed, and no process remained: Wait answers, nothing was announced. */
  startFailed: boolean;
  /** What was last put into the queue of events: after a crash it is not told again. */
  told: "nothing" | "exit" | "delete";
  /** The last signal that a client has asked for. */
  lastKill?: AskedKill;
  /** The kernel's out-of-memory killer has been at its container. */
  outOfMemory?: boolean;
  /** Added by way of the control service: the daemon is not told of it. */
  readonly isPrivate?: boolean;
}

/** A signal as it was asked for. */
export interface AskedKill {
  readonly signal: number;
  /** RFC 3339. */
  readonly at: string;
  /** Who asked, by the kernel's word (SO_PEERCRED). */
  readonly pid: number;
  readonly uid: number;
}

/** ProcessData as JSON holds it, and what else another image of the program needs to go on with a process. */
export interface KeptProcess extends Omit<ProcessData, "exitedAtNs"> {
  /** A decimal number. */
  readonly exitedAtNs: string | undefined;
  readonly stdio: KeptStdio | undefined;
}

export type ProcessSetup = Pick<
  ProcessData,
  "kind" | "containerId" | "execId" | "stdin" | "stdout" | "stderr" | "terminal" | "isPrivate"
>;

/** What Wait, State and Delete tell of an exit. */
export interface Outcome {
  readonly status: number;
  /** Undefined when there was no exit: the start failed. */
  readonly atNs: bigint | undefined;
}

/** Somebody who may stop waiting, as a client whose connection ends. */
export interface GivesUp {
  /** @returns what takes fn away again. */
  onCancel(fn: () => void): () => void;
}

export class Process {
  readonly data: ProcessData;
  stdio: Stdio | undefined;
  owned: OwnedProcess | undefined;
  /** Its record for another image; told of each change. */
  part: Part = unkept;
  /** Hears of each change of its state, after it, and of what was asked or has happened. */
  onMove: ((from: ProcessState, why: Request | Happening) => void) | undefined;
  readonly #waiters = new Set<(outcome: Outcome) => void>();
  #settled: (() => void)[] = [];

  constructor(setup: ProcessSetup) {
    this.data = {
      ...setup,
      state: "created",
      pid: 0 as Pid,
      exitStatus: undefined,
      exitedAtNs: undefined,
      startFailed: false,
      told: "nothing",
    };
  }

  keep(): KeptProcess {
    const { data, stdio } = this;
    return { ...data, exitedAtNs: data.exitedAtNs?.toString(), stdio: stdio?.keep() };
  }

  /** Is again what it was in the image before. */
  goOn({ state, pid, exitStatus, exitedAtNs, startFailed, told, ...known }: KeptProcess): void {
    const { exitSignal, lastKill, outOfMemory } = known;
    Object.assign(this.data, { state, pid, exitStatus, startFailed, told, exitSignal, lastKill, outOfMemory });
    this.data.exitedAtNs = exitedAtNs === undefined ? undefined : BigInt(exitedAtNs);
  }

  /** "container c1" or "exec e1 of container c1", for errors and the log. */
  get name(): string {
    const { kind, containerId, execId } = this.data;
    return kind === "init" ? `container ${containerId}` : `exec ${execId} of container ${containerId}`;
  }

  /**
   * Asks the table whether a request is allowed now, and makes the move when it is one.
   * @returns what is to be done; never a refusal.
   * @throws MoorError with the table's code and reason when it is refused.
   */
  ask(request: Request): Exclude<Cell, { kind: "no" }> {
    const cell = this.#cell(request);
    if (cell.kind === "no") {
      throw new MoorError(cell.code, `${words[request]} ${this.name}: ${cell.why}`);
    }
    if (cell.kind === "to") this.#move(cell.state, request);
    return cell;
  }

  /** Whether a request would be refused now. @throws as ask(), but moves nothing. */
  check(request: Request): void {
    const cell = this.#cell(request);
    if (cell.kind === "no") throw new MoorError(cell.code, `${words[request]} ${this.name}: ${cell.why}`);
  }

  /** Why a signal that the table allows has reached nobody. */
  notSignalled(): MoorError {
    // Made from a checkpoint: there is no process before it is started. NotFound would have clients wait for its exit.
    const isUnborn = this.owned === undefined && this.data.exitStatus === undefined;
    if (isUnborn) return new MoorError("failed_precondition", `kill ${this.name}: it has no process yet`);
    // Between its end and the word of it.
    return new MoorError("not_found", `kill ${this.name}: ${alreadyFinished}`);
  }

  /** Whether its terminal can have this size now. @throws MoorError. */
  checkResize(columns: number, rows: number): void {
    this.check("resize");
    const what = `${words.resize} ${this.name}`;
    if (!this.data.terminal) throw new MoorError("failed_precondition", `${what}: it has none`);
    if (columns <= longestSide && rows <= longestSide) return;
    throw new MoorError("invalid_argument", `${what}: ${columns} x ${rows} is no size of a terminal`);
  }

  /** Something has happened; the table says what that means. */
  happened(what: Happening): Cell {
    const cell = this.#cell(what);
    if (cell.kind === "to") this.#move(cell.state, what);
    return cell;
  }

  /** Keeps an exit that is known but not announced. */
  setExit(exit: Exit): void {
    this.data.exitStatus = exit.status;
    this.data.exitedAtNs = exit.atNs;
    if (exit.signal !== 0) this.data.exitSignal = exit.signal;
    this.part.touch();
  }

  /** Tells everyone who waits for the exit. */
  announce(): void {
    this.happened("announced");
    this.#tell({ status: this.data.exitStatus ?? 255, atNs: this.data.exitedAtNs });
  }

  /** The start failed and left no process: nobody will ever be told of an exit, so Wait answers now. */
  failStart(): void {
    this.data.startFailed = true;
    this.part.touch();
    this.#tell(noOutcome);
  }

  /**
   * Resolves when the exit has been announced, or at once when that is past.
   * @param given who waits may give up: then nothing of it is kept, and the promise rejects with canceled.
   */
  wait(given?: GivesUp): Promise<Outcome> {
    const known = this.outcome;
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve, reject) => {
      const tell = (outcome: Outcome): void => {
        forget?.();
        resolve(outcome);
      };
      this.#waiters.add(tell);
      const forget = given?.onCancel(() => {
        this.#waiters.delete(tell);
        reject(new MoorError("canceled", `wait for ${this.name}: nobody waits any more`));
      });
    });
  }

  /** The announced exit, or the failed start; undefined while neither is there. */
  get outcome(): Outcome | undefined {
    const { state, exitStatus, exitedAtNs, startFailed } = this.data;
    if (startFailed) return noOutcome;
    const announced = state === "stopped" || state === "deleting" || state === "deleted";
    if (!announced || exitStatus === undefined) return undefined;
    return { status: exitStatus, atNs: exitedAtNs };
  }

  /** Resolves when no start is under way and no exit waits to be announced. */
  settled(): Promise<void> {
    const { state } = this.data;
    if (state !== "starting" && state !== "running" && state !== "exiting") return Promise.resolve();
    return new Promise((resolve) => this.#settled.push(resolve));
  }

  #cell(asked: Request | Happening): Cell {
    return next(this.data.kind === "init" ? initTable : execTable, this.data.state, asked);
  }

  #move(state: ProcessState, why: Request | Happening): void {
    const before = this.data.state;
    this.data.state = state;
    this.part.touch();
    this.onMove?.(before, why);
    if (state === "starting" || state === "running" || state === "exiting") return;
    for (const wake of this.#settled.splice(0)) wake();
  }

  #tell(outcome: Outcome): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const tell of waiters) tell(outcome);
  }
}

/** Character cells; struct winsize has 16 bits. */
const longestSide = 0xffff;

/** Of a process that never ran. The status is containerd's own word for one that nobody knows. */
export const noOutcome: Outcome = { status: 255, atNs: undefined };

const words: Readonly<Record<Request, string>> = {
  start: "start",
  pause: "pause",
  resume: "resume",
  kill: "kill",
  exec: "add an exec to",
  startExec: "start an exec in",
  update: "update",
  checkpoint: "checkpoint",
  resize: "resize the terminal of",
  closeIo: "close the stdin of",
  delete: "delete",
};
