// Faults planted on purpose, to see whether the simulated lives and the tests find them: each is an exact piece of a source
// file and what takes its place. mutate.ts (scripts/mutants) plants them one by one; mutants.test.ts holds that every
// piece is still there, once.

export interface Mutant {
  readonly name: string;
  readonly area: string;
  readonly file: string;
  readonly edits: readonly (readonly [old: string, fresh: string])[];
}

function mutant(area: string, file: string, name: string, ...edits: Mutant["edits"]): Mutant {
  return { area, file, name, edits };
}

const reaper = "src/reaper/reaper.ts";
const table = "src/shim/state-table.ts";
const processFile = "src/shim/process.ts";
const exits = "src/shim/exits.ts";
const publisher = "src/shim/publisher.ts";
const stream = "src/io/stream.ts";
const stdio = "src/io/stdio.ts";
const container = "src/shim/container.ts";
const execs = "src/shim/execs.ts";
const freezing = "src/shim/freezing.ts";
const create = "src/shim/create.ts";
const gate = "src/oci/call-gate.ts";
const call = "src/oci/runtime-call.ts";
const remove = "src/shim/delete.ts";

export const mutants: readonly Mutant[] = [
  mutant(
    "reaper",
    reaper,
    "a zombie is reaped before its exit is handed over",
    [
      "    for (const { child, exit } of endings) child.note(exit);\n",
      "    for (const { child, exit, lost } of endings) {\n      child.note(exit);\n      if (!lost) this.#reap(child.pid);\n    }\n",
    ],
    ["      if (!lost && !this.#reap(child.pid)) allGone = false;\n", ""],
  ),
  mutant("reaper", reaper, "an exit that may yet be announced is not held", [
    "this.#held.set(each.pid, new Set(this.#announcements));",
    "this.#reapOrphan(each.pid);",
  ]),
  mutant("reaper", reaper, "while something is held, owned processes are not looked at one by one (P_ALL only)", [
    "    for (const child of this.#owned.values()) {\n      const exit",
    "    for (const child of this.#held.size > 0 ? [] : this.#owned.values()) {\n      const exit",
  ]),
  mutant("reaper", reaper, "while something is held, strangers behind it are not looked for", [
    "for (const pid of readChildren(this.#sys)) {\n        if (this.#owned.has(pid) || this.#held.has(pid)) continue;\n        const",
    "for (const pid of [] as Pid[]) {\n        const",
  ]),
  mutant("reaper", reaper, "a process that has ended before it is claimed is not told as ended", [
    "    if (seen !== undefined) {\n      this.#settle([seen]);",
    "    if (seen === null) {\n      this.#settle([seen]);",
  ]),
  mutant("reaper", reaper, "what was held for an announcement stays held when that is over", [
    "    for (const open of this.#held.values()) open.delete(announcement);\n",
    "",
  ]),
  mutant("reaper", reaper, "a claimed zombie stays held, and is reaped as an orphan", [
    "    this.#held.delete(pid);\n    this.#strays",
    "    this.#strays",
  ]),
  mutant("reaper", reaper, "one SIGCHLD is one exit", [
    "      if (this.#settle(this.#look())) this.#lookAgain = true;\n",
    "      this.#settle(this.#look().slice(0, 1));\n",
  ]),
  mutant("reaper", reaper, "a signal's number is told as the status", ["status: 128 + status", "status"]),
  mutant("reaper", "src/reaper/owned-process.ts", "a process that was reaped is signalled by its old pid", [
    "    if (this.#exit !== undefined) return false;\n    const seen = this.#sys.peekPid(this.pid);\n",
    '    const seen = undefined as ReturnType<Sys["peekPid"]>;\n',
  ]),

  mutant("state table", table, "init's exit is told before its start", [
    "    // The exit is kept until the start has an outcome: it is announced after it.\n    exited: later,",
    '    exited: to("exiting"),',
  ]),
  mutant("state table", table, "an exec's exit is told before its start", [
    '    startFailed: to("created"),\n    exited: later,\n  },\n  running: { ...liveRow, ...onlyInit },',
    '    startFailed: to("created"),\n    exited: to("exiting"),\n  },\n  running: { ...liveRow, ...onlyInit },',
  ]),
  mutant("state table", table, "a created container is deleted without being killed", [
    "    delete: killFirst,",
    '    delete: to("deleting"),',
  ]),
  mutant("state table", table, "a container is deleted while its exit is on its way", [
    'exiting: { ...stoppedRow, delete: later, announced: to("stopped") },',
    'exiting: { ...stoppedRow, delete: to("deleting"), announced: to("stopped") },',
  ]),
  mutant("state table", table, "a delete that failed is taken for done", [
    'delete: join, deleted: to("deleted"), deleteFailed: to("stopped"), exited: ignored },',
    'delete: join, deleted: to("deleted"), deleteFailed: to("deleted"), exited: ignored },',
  ]),
  mutant("state table", table, "a pause that failed leaves the container pausing", [
    '    pauseFailed: to("running"),\n',
    "    pauseFailed: stay,\n",
  ]),
  mutant("state table", table, "an exec is started in a paused container", [
    '    startExec: no("its container is paused"),\n',
    "",
  ]),

  mutant("waits", processFile, "who waits is not told of the exit", [
    "    this.#tell({ status: this.data.exitStatus ?? 255, atNs: this.data.exitedAtNs });\n",
    "",
  ]),
  mutant("waits", processFile, "a Wait after the exit is never answered", [
    "    if (known !== undefined) return Promise.resolve(known);\n",
    "",
  ]),
  mutant("waits", processFile, "who waits for an exec that could not be started is not told", [
    "    this.#tell(noOutcome);\n",
    "",
  ]),
  mutant("waits", processFile, "a Wait whose client has gone is kept", [
    "        this.#waiters.delete(tell);\n        reject(",
    "        void (",
  ]),

  mutant("exits", exits, "init's exit does not wait for those of its execs", [
    "await settledWithin(context.sys, execsMs, gone)",
    "(await settledWithin(context.sys, 0, gone)) || true",
  ]),
  mutant("exits", exits, "what init has left alive is not killed", ["  await killRest();\n", ""]),
  mutant("exits", container, "the exit is not recorded in the bundle", ["    recordExit(this.#exits, process);\n", ""]),
  mutant("exits", exits, "an out-of-memory kill is not looked for before the exit", ["  lookForOom();\n", ""]),
  mutant("exits", container, "the exit of a start under way is forgotten", [
    "      this.#early.set(process, exit);\n",
    "",
  ]),
  mutant("exits", container, "an exec may start after its container's exit", [
    "if (process !== this.init && this.init.outcome !== undefined) {",
    "if (process === null) {",
  ]),
  mutant("exits", container, "an exec that starts while the rest of its container is killed lives on", [
    "    if (process !== this.init && this.init.data.exitStatus !== undefined) process.owned?.signal(SIGKILL);\n",
    "",
  ]),
  mutant("exits", processFile, "a kill of a container made from a checkpoint, not started, says that it has ended", [
    "isUnborn = this.owned === undefined && this.data.exitStatus === undefined;",
    "isUnborn = this.data === null;",
  ]),
  mutant("exits", freezing, "a slow pause is told after the container's deletion", [
    "else if (hasMoved) this.#events.paused(this.#id);",
    "else this.#events.paused(this.#id);",
  ]),
  mutant("exits", execs, "the exit of an exec whose start failed is told", [
    "    if (reported) onExit(exit);",
    "    onExit(exit);",
  ]),

  mutant("drain", exits, "init's exit is told before its output is there", ["  await drained;\n", ""]),
  mutant("drain", exits, "an exec's exit is told before its output is there", [
    "  await exec.stdio?.drained(drainMs);\n",
    "",
  ]),
  mutant("drain", stdio, "the drain has no bound", [
    "    await settledWithin(this.#context.sys, boundMs, Promise.all(outputs.map(({ stream }) => stream.drained())));",
    "    await Promise.all(outputs.map(({ stream }) => stream.ended));",
  ]),
  mutant("drain", stream, "the FIFO's end is kept open after the stream's end, so that readers see none", [
    '    if (this.name === "stdin") this.#close("kept");\n',
    '    if (this.name === "stdin") this.#close("kept");\n    else this.#kept = this.#sys.open(this.#uri, O_WRONLY, 0) as Fd;\n',
  ]),
  mutant("drain", stream, "the shim's reading end of a FIFO is not kept, so that a reader who leaves ends the stream", [
    '    this.#pump = pump;\n    this.#state = "flowing";\n',
    '    this.#pump = pump;\n    if (this.name !== "stdin") this.#close("kept");\n    this.#state = "flowing";\n',
  ]),
  mutant("drain", stdio, "Delete ends the output that is not out yet", [
    '      if (stream.name === "stdin") stream.stop();\n      else stream.letGo();',
    "      stream.stop();",
  ]),
  mutant("stdin", stdio, "CloseIO closes nothing", [
    'if (stream.name === "stdin") stream.letGo();',
    'if (stream.name === "stdout") stream.letGo();',
  ]),
  mutant("stdin", stream, "the end of stdin comes as soon as its client has gone", [
    '    this.#pump = pump;\n    this.#state = "flowing";\n',
    '    this.#pump = pump;\n    if (this.name === "stdin") this.#close("kept");\n    this.#state = "flowing";\n',
  ]),

  mutant("publisher", publisher, "an event overtakes those before it", [
    "    this.#queue.push(event);\n",
    "    this.#queue.unshift(event);\n",
  ]),
  mutant("publisher", publisher, "an event whose delivery failed is dropped", [
    "        if (code === undefined) throw error;\n",
    "        if (code === undefined) {\n          this.#queue.shift();\n          throw error;\n        }\n",
  ]),
  mutant("publisher", publisher, "every third event is sent twice", [
    "    const event = this.#queue.shift();\n",
    "    const event = this.#queue[0];\n    if (this.#delivered % 3 !== 0 || this.#refused++ % 2 !== 0) this.#queue.shift();\n",
  ]),
  mutant("publisher", publisher, "events in memory overtake those in the file", [
    "if (full || !this.#spool.empty || this.#unspooled.length > 0) {",
    "if (full) {",
  ]),
  mutant("publisher", publisher, "there is no second try", [
    "        this.#retryLater();\n",
    "        this.#retry = 0 as TimerId;\n",
  ]),
  mutant("publisher", publisher, "what is published while a delivery ends waits for the next event", [
    "        else if (this.#retry === undefined) this.#pump();\n",
    "",
  ]),
  mutant("publisher", "src/shim/spool.ts", "the file of events is read from a wrong place", [
    "this.#start += 4 + record.length;",
    "this.#start += record.length;",
  ]),

  mutant("call gate", gate, "the place of a call that is over goes to nobody", [
    "if (next === undefined) this.#counted--;",
    "if (next === undefined) return;",
  ]),
  mutant("call gate", gate, "a call that hangs holds up the others for ever", [
    "if (entry.sinceMs <= longAgoMs) this.#free(entry);",
    "if (entry.sinceMs < 0) this.#free(entry);",
  ]),
  mutant("call gate", gate, "who comes last is first", ["this.#waiting.shift()", "this.#waiting.pop()"]),

  mutant("deadlines", call, "a runtime that hangs is waited for without end", [
    "    const timer = sys.timerStart(limitMs, () => resolve(undefined));\n",
    "    const timer = sys.timerStart(limitMs, () => undefined);\n",
  ]),
  mutant("deadlines", call, "a runtime that takes too long is not killed", [
    "  if (process.exit === undefined) sys.kill(-process.pid, SIGKILL);\n  process.signal(SIGKILL);\n",
    "",
  ]),
  mutant("deadlines", call, "the children of a killed runtime live on", [
    "      if (signal !== 0) context.sys.kill(-pid, SIGKILL);\n",
    "      void [pid, signal];\n",
  ]),
  mutant("deadlines", "src/reaper/deadline.ts", "a deadline that was kept leaves its timer", [
    "        sys.timerStop(timer);\n        resolve(value);",
    "        resolve(value);",
  ]),
  mutant(
    "deadlines",
    "src/shim/remains.ts",
    "a deadline is reckoned by the clock that people set",
    ["sys.monotonicMs() + withinMs", "Number(sys.realtimeNs() / 1_000_000n) + withinMs"],
    ["sys.monotonicMs() > untilMs", "Number(sys.realtimeNs() / 1_000_000n) > untilMs"],
  ),

  mutant("undoing", create, "what a runtime that was killed has half made is left", [
    "if (!hasRefused(thrown)) await forget(",
    "if (thrown === null) await forget(",
  ]),
  mutant("undoing", create, "the mounts of a Create that failed are left", [
    '    if (mountedRootfs !== "" && isMounted) await undoMounts(context, mountedRootfs);\n',
    "",
  ]),
  mutant("undoing", execs, "the streams of an exec that could not be started are left", [
    "    exec.data.pid = 0 as Pid;\n    stdio.abort();\n",
    "    exec.data.pid = 0 as Pid;\n",
  ]),
  mutant("undoing", execs, "an exec that started too late lives on", ["    exec.owned?.signal(SIGKILL);\n", ""]),
  mutant("undoing", container, "a frozen container does not die of SIGKILL (cgroup v1)", [
    '    if (signal === SIGKILL) this.cgroup.thaw("that was killed");\n',
    "",
  ]),

  mutant("delete", remove, "`delete` does not look at the exit records", [
    "encodeAnswer(record ?? {",
    "encodeAnswer({ ...record,",
  ]),
  mutant("delete", remove, "`delete` leaves the socket of a dead shim", [
    "removeStaleSocket(sys, path);",
    "sys.stat(path);",
  ]),
  mutant("delete", remove, "`delete` leaves the processes and cgroups that the runtime has left", [
    "await clearCgroups(sys, log, cgroups, cgroupsWithinMs)",
    "cgroups === undefined",
  ]),
  mutant("delete", remove, "`delete` leaves the mounts", ["() => unmountRootfs(sys, log, bundle)", "() => void log"]),

  mutant("connections", "src/shim/acceptor.ts", "after a rest for want of fds nobody is heard", [
    "      this.#sys.pollChange(this.#listenFd, POLLIN);\n",
    "",
  ]),
  mutant("connections", "src/shim/socket-transport.ts", "a connection that is over is not closed", [
    "    this.#sys.close(this.#fd);\n",
    "",
  ]),
];
