// Many lives, one seed after another, by as many processes as there are processors: what they have seen in sum, and the
// seeds that show a bug. Processes of their own also keep the test runner's hooks on promises away, which would make the
// lives several times slower.

import { type ChildProcess, fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";

/** What lives have seen, by the name of it: "turns", "calls", "open EMFILE". */
export type Sums = ReadonlyMap<string, number>;

export interface Bad {
  readonly seed: number;
  readonly broken: string;
}

export interface Lot {
  readonly lives: number;
  readonly sums: readonly (readonly [name: string, count: number])[];
  readonly bad: readonly Bad[];
}

export interface ManyOptions {
  readonly first: number;
  readonly count: number;
  /** Goes on after a bad one; else no new ones are begun then. */
  readonly keepsGoing?: boolean;
  /** Called now and then. */
  readonly onProgress?: (lives: number, bad: readonly Bad[]) => void;
  readonly jobs?: number;
}

export interface Many {
  readonly lives: number;
  readonly sums: Sums;
  /** In the order of their seeds. */
  readonly bad: readonly Bad[];
}

/** Lives that a process is given at a time. */
const lotSize = 200;
/** They take seconds, and minutes where much else runs. */
const lotWithinMs = 900_000;

/** @throws what ends a process early. */
export async function liveMany({ first, count, keepsGoing, onProgress, jobs }: ManyOptions): Promise<Many> {
  const end = first + count;
  const sums = new Map<string, number>();
  const bad: Bad[] = [];
  let next = first;
  let lives = 0;
  const take = (lot: Lot): void => {
    lives += lot.lives;
    for (const [name, more] of lot.sums) sums.set(name, (sums.get(name) ?? 0) + more);
    bad.push(...lot.bad);
    onProgress?.(lives, bad);
  };
  const work = async (): Promise<void> => {
    const file = fileURLToPath(new URL("./worker.js", import.meta.url));
    const worker = fork(file, { execArgv: ["--enable-source-maps"] });
    try {
      while (next < end && (bad.length === 0 || keepsGoing === true)) {
        const lot = { first: next, count: Math.min(lotSize, end - next), keepsGoing: keepsGoing === true };
        next += lot.count;
        take(await ask(worker, lot));
      }
    } finally {
      if (worker.connected) worker.disconnect();
    }
  };
  const processes = Math.max(1, Math.min(jobs ?? availableParallelism(), Math.ceil(count / lotSize)));
  await Promise.all(Array.from({ length: processes }, work));
  return { lives, sums, bad: bad.sort((one, other) => one.seed - other.seed) };
}

function ask(worker: ChildProcess, lot: { readonly first: number }): Promise<Lot> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`the lives from seed ${lot.first} on do not end`));
      worker.kill("SIGKILL");
    }, lotWithinMs);
    const early = (status: number | null, signal: string | null): void =>
      reject(new Error(`a process that lives lives has ended with ${status ?? signal}`));
    worker.once("exit", early);
    worker.once("message", (answer) => {
      worker.off("exit", early);
      clearTimeout(timer);
      resolve(answer as Lot);
    });
    worker.send(lot);
  });
}
