// The shim after a crash: the program was executed anew in the same process and goes on with what the image before kept
// (keeper.ts) and what the host kept for it: connections, pumps, children. Nobody sees a difference but those whose calls
// were under way: questions are asked again here, whatever else was asked for is refused with Unavailable once the state
// it left is known. Too many crashes in a row end it: then what is known is written down for `delete`.

import { methodOfFrame, refusalFrame, StatusError } from "ttrpc";
import { foundFd } from "../io/stream.ts";
import { settledWithin } from "../reaper/deadline.ts";
import type { Reaper } from "../reaper/reaper.ts";
import { grpcCodes, MoorError } from "../sys/error.ts";
import type { Log } from "../sys/log.ts";
import type { Crash, Fd, Kept, KeptConnection, KeptHandle, Sys } from "../sys/sys.d.ts";
import { noteCrash, wordsOf } from "./crash-report.ts";
import type { Keeping } from "./keeper.ts";
import { keptEvent, type ResumedEvents, type SpoolState } from "./kept-events.ts";
import type { KeptRecord, KeptSink } from "./kept-records.ts";
import { lastAnswer } from "./last-answer.ts";
import { writeLastWords } from "./last-words.ts";
import { resumeTasks } from "./resumed-tasks.ts";
import { type ServeSetup, serve } from "./serve.ts";
import type { SocketTransport } from "./socket-transport.ts";
import { takeSignals } from "./start.ts";
import type { TaskService } from "./task-service.ts";

/** What a serving shim gives to that which goes on. */
export interface ServingParts {
  readonly log: Log;
  readonly reaper: Reaper;
  readonly keeper: Keeping;
  readonly tasks: TaskService;
  /** Serves a connection. */
  readonly accept: (fd: Fd) => SocketTransport;
}

/** What the image before has left, as a serving shim takes it. */
export interface Resumption {
  readonly events: ResumedEvents;
  readonly leaveAfterLast: boolean;
  readonly leaving: boolean;
  /** For the state dump. */
  readonly crashes: readonly Readonly<Record<string, string | number>>[];
  /** Makes containers and connections again; to be called once, before the loop runs. */
  run(parts: ServingParts): void;
}

/** Questions change nothing: they are asked again. A Wait that fails would be an exit to some clients. */
const questions: readonly string[] = ["Wait", "State", "Pids", "Stats", "Connect"];
/** How long a refusal may wait until what its call has left is known. */
const settledWithinMs = 20_000;

type Setup = Omit<ServeSetup, "onSignal">;

/** All records of the image before, each the newest of its kind and name. */
export interface KeptRecords {
  readonly shim: { readonly setup: Setup; readonly leaveAfterLast: boolean; readonly leaving: boolean };
  readonly parts: readonly KeptRecord[];
  readonly events: ResumedEvents;
  /** Of those that are written anew. */
  readonly handles: readonly KeptHandle[];
  /** On which the daemon's last answer is awaited. */
  readonly sinkFd: Fd | undefined;
}

/** Goes on. @throws MoorError when there is nothing to go on with. */
export function resume(sys: Sys, kept: Kept): void {
  const records = readRecords(sys, kept);
  const { setup, leaveAfterLast, leaving } = records.shim;
  const crash = kept.crashes.at(-1);
  if (crash === undefined) throw new MoorError("internal", "there was no crash to go on after");
  const calls = callsOf(kept.connections);
  noteCrash(sys, setup.bundle, crash, kept.crashCount, calls);
  if (kept.lastWords) {
    writeLastWords(sys, setup, kept, records, crash);
    sys.exit(1);
  }
  const signals = takeSignals(sys);
  const onSignal = (fn: (signal: number) => void): void => {
    signals.deliver = fn;
  };
  const run = (parts: ServingParts): void => {
    tell(parts.log, crash, kept.crashCount, calls);
    const { settled, fds } = resumeTasks(parts, kept, records.parts);
    sys.keepDropRest();
    const others = [records.events.spool?.fd, records.sinkFd].filter((fd) => fd !== undefined);
    sortFds(sys, kept, [setup.listenFd, ...setup.listenFds, ...fds, ...others]);
    // Written anew by now: the old ones go.
    parts.keeper.flush();
    for (const handle of records.handles) sys.keepDrop(handle);
    const known = settledWithin(sys, settledWithinMs, settled);
    for (const connection of kept.connections) goOnServing(sys, parts, connection, known);
    parts.reaper.childSignal();
  };
  const crashes = kept.crashes.map(wordsOf);
  serve(sys, { ...setup, onSignal }, { events: records.events, leaveAfterLast, leaving, crashes, run });
}

function readRecords(sys: Sys, kept: Kept): KeptRecords {
  const queue: ResumedEvents["queue"][number][] = [];
  const unspooled: ResumedEvents["queue"][number][] = [];
  const newest = new Map<string, KeptRecord | ({ readonly kind: "spool" } & SpoolState)>();
  const handles: KeptHandle[] = [];
  for (const record of [...kept.records].sort((a, b) => a.number - b.number)) {
    const found = keptEvent(record);
    if (found !== undefined) {
      (found.waits ? unspooled : queue).push(found.event);
      continue;
    }
    handles.push(record.handle);
    const part = record.number === 0 ? undefined : parse(sys, record.bytes);
    if (part !== undefined) newest.set(nameOf(part), part);
  }
  const shim = newest.get("shim") as unknown as KeptRecords["shim"] | undefined;
  if (shim === undefined) throw new MoorError("internal", "nothing is kept of the shim that has crashed");
  const spool = newest.get("spool") as SpoolState | undefined;
  const parts = [...newest.values()].filter((part): part is KeptRecord => part.kind !== "spool");
  const sink = newest.get("sink") as KeptSink | undefined;
  const sinkFd = sink?.sending === true && queue.length > 0 ? foundFd(sys, sink.fd) : undefined;
  const firstTaken = sinkFd === undefined ? undefined : lastAnswer(sys, sinkFd);
  return { shim, parts, events: { queue, unspooled, spool, firstTaken }, handles, sinkFd };
}

function parse(sys: Sys, bytes: Uint8Array): KeptRecord | undefined {
  try {
    return JSON.parse(sys.decodeUtf8(bytes)) as KeptRecord;
  } catch {
    // The sum was right, so this is nothing of ours.
    return undefined;
  }
}

function nameOf(part: KeptRecord | { readonly kind: "spool" }): string {
  if (part.kind === "container") return `container ${part.id}`;
  if (part.kind === "init" || part.kind === "exec") return `process ${part.containerId} ${part.execId}`;
  return part.kind === "leaving" ? `leaving ${part.containerId} ${part.execId}` : part.kind;
}

/** Fds of the image before that somebody has taken over are ours; the others belong to what was cut short. */
function sortFds(sys: Sys, { fds }: Kept, known: readonly Fd[]): void {
  for (const fd of fds) {
    if (known.includes(fd)) sys.setCloexec(fd, true);
    else sys.close(fd);
  }
}

function callsOf(connections: readonly KeptConnection[]): readonly string[] {
  return connections.flatMap(({ calls }) => calls.map(({ frame }) => methodOfFrame(frame)?.method ?? "?"));
}

function tell(log: Log, crash: Crash, count: number, calls: readonly string[]): void {
  log.error("the shim has crashed and goes on", { ...wordsOf(crash), crashes: count, calls: calls.join(" ") });
}

/** Unsent bytes first; then the questions, and the beginning of the next request. */
function goOnServing(sys: Sys, parts: ServingParts, connection: KeptConnection, known: Promise<boolean>): void {
  if (!connection.sound) {
    sys.close(connection.fd);
    return;
  }
  const again: Uint8Array[] = [];
  const refused: number[] = [];
  for (const { id, frame } of [...connection.calls].reverse()) {
    const called = methodOfFrame(frame);
    if (called !== undefined && questions.includes(called.method)) again.push(frame);
    else refused.push(id);
  }
  const transport = parts.accept(connection.fd);
  transport.replay(connection.output, [...again, connection.input]);
  if (refused.length === 0) return;
  const status = new StatusError(grpcCodes.unavailable, "the shim has crashed meanwhile and goes on; ask again");
  void known.then(() => {
    for (const id of refused) transport.write(refusalFrame(id, status));
  });
}
