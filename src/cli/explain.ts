// Why a container is as it is, in one paragraph: how it ended, or what it waits for now. From the records alone: it says
// what they say, and where they end.

import type { Inspection, InspectedProcess } from "./inspection.ts";
import { signalName } from "./signals.ts";

const signalBase = 128;
/** A signal that was asked for longer ago than this is not told as the cause of an end. */
const causeWithinMs = 60_000;

/** @param nowMs milliseconds since 1970, for ages. */
export function explain(inspection: Inspection, nowMs: number): string {
  const { id, exit, status } = inspection;
  const sentences = exit === null ? whatItWaitsFor(inspection, nowMs) : howItEnded(inspection, nowMs);
  const about = shimSentences(inspection);
  return [`${id} ${exit === null ? words[status] : "has ended"}`, ...sentences, ...about].join(" ");
}

const words: Readonly<Record<Inspection["status"], string>> = {
  created: "is created and not started.",
  running: "runs.",
  pausing: "is being paused.",
  paused: "is paused.",
  stopped: "has ended.",
  orphaned: "runs without a shim: the shim is gone, nobody will see its end, and its output goes nowhere.",
  unknown: "is in a state that nobody knows: its shim is gone, and there is no record of its end.",
};

interface Cause {
  readonly signal?: number;
  readonly outOfMemory?: boolean;
  readonly asked?: { readonly signal: number; readonly at: string; readonly pid: number; readonly uid: number };
}

function howItEnded({ id, exit, exits, cgroup, container }: Inspection, nowMs: number): string[] {
  const { status = 0, exitedAt = "" } = exit ?? {};
  const cause = causeOf(exits, id);
  const at = exitedAt === "" ? "" : `, at ${exitedAt} (${ago(exitedAt, nowMs)})`;
  const failure = container?.history.filter(({ exec, why }) => exec === "" && why.startsWith("start failed: ")).at(-1);
  if (failure !== undefined) return [`without having run${at}:`, `${failure.why}.`];
  if (status <= signalBase || cause.signal === undefined) {
    const meaning = meanings[status] ?? "";
    const asked = cause.asked === undefined ? [] : [`${askedSentence(cause.asked, exitedAt)}`];
    return [`with status ${status}${meaning}${at}.`, ...asked, ...memorySentence(cause, cgroup)];
  }
  const sentences = [`with status ${status}: ended by ${signalName(cause.signal)}${at}.`];
  const memory = memorySentence(cause, cgroup);
  sentences.push(...memory);
  const asked = cause.asked;
  if (asked !== undefined && isNear(asked.at, exitedAt)) sentences.push(askedSentence(asked, exitedAt));
  else if (memory.length === 0) {
    sentences.push("Nobody had asked the shim for a signal: it came past the shim, or from within the container.");
  }
  return sentences;
}

const meanings: Readonly<Record<number, string>> = {
  0: " (success)",
  126: " (by custom: a program that cannot be run)",
  127: " (by custom: a program that is not there)",
};

function memorySentence(cause: Cause, cgroup: Inspection["cgroup"]): string[] {
  if (cause.outOfMemory !== true) return [];
  const limit = cgroup?.memoryLimitBytes ?? null;
  const figures =
    limit === null
      ? ""
      : ` (its limit is ${mebibytes(limit)}, it had ${mebibytes(cgroup?.memoryMaxBytes ?? 0)} at most)`;
  return [`The kernel's out-of-memory killer had ended a process of it${figures}.`];
}

function askedSentence(asked: NonNullable<Cause["asked"]>, exitedAt: string): string {
  const before = exitedAt === "" ? "" : `, ${span(Date.parse(exitedAt) - Date.parse(asked.at))} before`;
  return `The shim had been asked for ${signalName(asked.signal)} by process ${asked.pid} of user ${asked.uid}${before}.`;
}

function causeOf(exits: unknown, id: string): Cause {
  const entries = (exits as { exits?: Readonly<Record<string, { cause?: Cause }>> } | null)?.exits;
  return entries?.[id]?.cause ?? {};
}

function whatItWaitsFor(inspection: Inspection, nowMs: number): string[] {
  const { container, processes, pid, status } = inspection;
  const init = processes.find((each) => each.pid === pid);
  const sentences: string[] = [];
  const lastStep = container?.history.filter(({ exec, to }) => exec === "" && to !== null).at(-1);
  if (lastStep !== undefined) sentences.push(`It has been so since ${lastStep.time} (${ago(lastStep.time, nowMs)}).`);
  const failure = container?.history.filter(({ exec, why }) => exec === "" && why.startsWith("start failed: ")).at(-1);
  if (status === "created" && failure !== undefined) sentences.push(`Its ${failure.why}.`);
  for (const call of container?.runtimeCalls ?? []) {
    if (call.ms === null)
      sentences.push(
        `The runtime's ${call.operation} has been under way since ${call.time} (${ago(call.time, nowMs)}).`,
      );
  }
  if (status === "paused") sentences.push("Its processes stand still until it is resumed.");
  for (const each of container?.processes ?? []) sentences.push(...fullStreams(each));
  if (init !== undefined && status === "running") {
    const what = states[init.state] ?? `is in state ${init.state}`;
    const where = init.waitsIn === "" ? "" : ` (in ${init.waitsIn})`;
    sentences.push(`Its init, ${init.command.join(" ") || init.name} (process ${pid}), ${what}${where}.`);
    const stuck = processes.filter((each) => each.state === "D" && each.pid !== pid);
    if (stuck.length > 0)
      sentences.push(`Stuck in the kernel: ${stuck.map((each) => `${each.name} (${each.pid})`).join(", ")}.`);
  }
  return sentences;
}

const states: Readonly<Record<string, string>> = {
  R: "computes",
  S: "sleeps",
  D: "is stuck in the kernel, where no signal reaches it",
  T: "was stopped by a signal",
  t: "is stopped by a debugger",
  Z: "has ended and waits to be reaped",
};

/** A stream whose reader takes nothing holds the process as soon as it writes more. */
function fullStreams({ execId, streams }: InspectedProcess): string[] {
  const whose = execId === "" ? "Its" : `Exec ${execId}'s`;
  return streams
    .filter(({ name, waitsFor }) => name !== "stdin" && waitsFor === "target")
    .map(({ name, uri }) => `${whose} ${name} is full: nobody reads ${uri}, and it stands still when it writes.`);
}

function shimSentences({ shim, lacks, exit }: Inspection): string[] {
  const sentences: string[] = [];
  const waiting = shim?.events?.undelivered ?? 0;
  if (waiting > 0) sentences.push(`${waiting} events wait for the daemon, which does not take them.`);
  if (shim === null && exit !== null) sentences.push("Its shim is gone; this is what its record says.");
  else if (shim !== null) sentences.push(...lacks.map((lack) => `Not known: ${lack}.`));
  return sentences;
}

function isNear(asked: string, exited: string): boolean {
  return exited === "" || Math.abs(Date.parse(exited) - Date.parse(asked)) <= causeWithinMs;
}

function ago(time: string, nowMs: number): string {
  return `${span(nowMs - Date.parse(time))} ago`;
}

/** "0.25 s", "12 s", "5 min", "3 h", "4 d". */
function span(ms: number): string {
  const seconds = Math.max(ms, 0) / 1000;
  if (seconds < 10) return `${Number(seconds.toFixed(2))} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}

function mebibytes(bytes: number): string {
  return `${Number((bytes / (1 << 20)).toFixed(1))} MiB`;
}
