// What `moor inspect` tells of a process: the form of its JSON, and where it comes from.

import { figuresOf, residentOf, textOfFile, wordsOf } from "./proc-figures.ts";

/** The keys are those of the JSON output: a stable interface. */
export interface ProcessFacts {
  readonly pid: number;
  readonly ppid: number;
  readonly name: string;
  /** Its arguments; empty for a zombie. */
  readonly command: readonly string[];
  /** proc(5)'s letter: R, S, D, Z, T, ... */
  readonly state: string;
  readonly threads: number;
  readonly rssKb: number;
  /** The kernel's function in which it sleeps, "" where that is not told. */
  readonly waitsIn: string;
}

/** undefined when it is gone. */
export function factsOf(pid: number): ProcessFacts | undefined {
  const figures = figuresOf(pid);
  if (figures === undefined) return undefined;
  const { parent: ppid, name, state, threads } = figures;
  const rssKb = (residentOf(pid) ?? 0) / 1024;
  const waitsIn = textOfFile(`/proc/${pid}/wchan`) ?? "";
  return {
    pid,
    ppid,
    name,
    command: wordsOf(pid) ?? [],
    state,
    threads,
    rssKb,
    waitsIn: waitsIn === "0" ? "" : waitsIn,
  };
}

export interface MemoryFacts {
  readonly rssKb: number;
  readonly pssKb: number;
  readonly anonymousKb: number;
}

/** Memory of a process; undefined when it is gone or not ours to see. */
export function memoryFactsOf(pid: number): MemoryFacts | undefined {
  const text = textOfFile(`/proc/${pid}/smaps_rollup`);
  if (text === undefined) return undefined;
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(text)?.[1] ?? 0);
  return { rssKb: field("Rss"), pssKb: field("Pss"), anonymousKb: field("Anonymous") };
}
