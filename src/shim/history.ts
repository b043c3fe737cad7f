// What has happened to one container, in its last steps: each change of a process's state with its time and cause, and the
// few other things that explain an end. Kept in memory, bounded, for those who look into the shim.

import { MoorError } from "../sys/error.ts";
import type { Pid, Sys } from "../sys/sys.d.ts";
import type { Peer } from "./context.ts";
import type { Process } from "./process.ts";
import type { ProcessState } from "./state-table.ts";
import { rfc3339 } from "./time.ts";

/** Plain data. */
export interface PastStep {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /** "" for init. */
  readonly exec: string;
  /** Both undefined where no state has changed. */
  readonly from?: ProcessState;
  readonly to?: ProcessState;
  readonly why: string;
}

/** Of init; the execs of a container, which may be many, have as many of their own. */
const mostSteps = 24;
const longestWhy = 512;

const nobody = { pid: 0 as Pid, uid: 0 };

export class History {
  readonly #sys: Sys;
  readonly #ofInit: PastStep[] = [];
  readonly #ofExecs: PastStep[] = [];

  constructor(sys: Sys) {
    this.#sys = sys;
  }

  /** Oldest first. */
  list(): readonly PastStep[] {
    return [...this.#ofInit, ...this.#ofExecs].sort((one, other) => one.atMs - other.atMs);
  }

  /** Notes each change of a process's state from now on. */
  follow(process: Process): void {
    const { data } = process;
    process.onMove = (from, cause) => {
      const why = cause === "exited" ? `exited with status ${data.exitStatus ?? 255}` : cause;
      this.#add({ atMs: this.#now(), exec: data.execId, from, to: data.state, why });
    };
  }

  failed({ data }: Process, thrown: unknown): void {
    this.note(data.execId, `start failed: ${MoorError.from(thrown).message}`);
  }

  /** A client has asked for a signal. */
  asked({ data }: Process, signal: number, all: boolean, { pid, uid }: NonNullable<Peer> = nobody): void {
    data.lastKill = { signal, at: rfc3339(this.#sys.realtimeNs()), pid, uid };
    this.note(data.execId, `signal ${signal}${all ? " to all" : ""} asked for by process ${pid} of user ${uid}`);
  }

  /** Something that changed no state. */
  note(exec: string, why: string): void {
    this.#add({ atMs: this.#now(), exec, why: why.slice(0, longestWhy) });
  }

  #add(step: PastStep): void {
    const steps = step.exec === "" ? this.#ofInit : this.#ofExecs;
    steps.push(step);
    if (steps.length > mostSteps) steps.shift();
  }

  #now(): number {
    return Number(this.#sys.realtimeNs() / 1_000_000n);
  }
}
