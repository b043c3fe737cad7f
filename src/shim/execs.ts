// The execs of one container: added, started, deleted. What they share with init (signals, stdio, exits) is elsewhere.

import { openStdio } from "../io/stdio.ts";
import type { Runtime } from "../oci/runtime.ts";
import type { RuntimeOptions } from "../oci/options.ts";
import { hasRefused } from "../oci/runtime-error.ts";
import type { Exit } from "../reaper/reaper.ts";
import { isErrno } from "../sys/errno.ts";
import { MoorError, must } from "../sys/error.ts";
import { isCostlyJson } from "../sys/json-cost.ts";
import { O_CREAT, O_TRUNC, SIGKILL } from "../sys/flags.ts";
import { passGate } from "../sys/gates.ts";
import type { Errno, FdMapping, Pid, Sys } from "../sys/sys.d.ts";
import type { ShimContext } from "./context.ts";
import { checkIdentifier, shown } from "./identifier.ts";
import { type KeptProcess, Process } from "./process.ts";

export interface ExecRequest {
  readonly execId: string;
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
  /** JSON of an OCI process; undefined when none was sent. */
  readonly spec: Uint8Array | undefined;
  /** The daemon is not told of it: it has not asked for it. */
  readonly isPrivate?: boolean;
}

/** Where the container that the execs belong to is. */
export interface ExecPlace {
  readonly context: ShimContext;
  readonly containerId: string;
  readonly bundle: string;
  readonly options: RuntimeOptions;
  readonly runtime: Runtime;
  /** Not reaped yet, as long as an exec can be started. */
  readonly initPid: Pid;
}

/** An exec as plain data. */
export interface KeptExec extends KeptProcess {
  readonly specText: string;
  readonly wantedSize: { readonly columns: number; readonly rows: number } | undefined;
  readonly stdinClosed: boolean;
}

/** An exec that has been added and not deleted. */
export class Exec extends Process {
  /** The process as the runtime takes it, until it has been started. */
  specText: string;
  wantedSize: { readonly columns: number; readonly rows: number } | undefined;
  stdinClosed = false;

  constructor(containerId: string, request: ExecRequest, specText: string) {
    const { execId, stdin, stdout, stderr, terminal, isPrivate = false } = request;
    super({ kind: "exec", containerId, execId, stdin, stdout, stderr, terminal, isPrivate });
    this.specText = specText;
  }

  /** About what it costs. */
  get heldBytes(): number {
    const { stdin, stdout, stderr } = this.data;
    return execBytes + this.specText.length + stdin.length + stdout.length + stderr.length;
  }

  override keep(): KeptExec {
    const { specText, wantedSize, stdinClosed } = this;
    return { ...super.keep(), specText, wantedSize, stdinClosed };
  }
}

/** What the execs of one container may hold of the heap, about: 500 at once with a large spec each are half of it. */
const mostHeldBytes = 8 << 20;
/** Of an exec without its texts. */
const execBytes = 2048;

/**
 * A new exec of this request; nothing is opened or run yet.
 * @throws MoorError invalid_argument.
 */
export function makeExec({ context, containerId }: ExecPlace, request: ExecRequest): Exec {
  const what = `add exec ${shown(request.execId)} to container ${containerId}`;
  try {
    checkIdentifier("exec id", request.execId);
  } catch (thrown) {
    throw MoorError.wrap(what, thrown);
  }
  if (request.spec === undefined || request.spec.length === 0) {
    throw new MoorError("invalid_argument", `${what}: the request has no process spec`);
  }
  const sent = context.sys.decodeUtf8(request.spec);
  if (isCostlyJson(sent)) throw new MoorError("invalid_argument", `${what}: its process spec has too many values`);
  let spec: unknown;
  try {
    spec = JSON.parse(sent);
  } catch (thrown) {
    throw new MoorError("invalid_argument", `${what}: its process spec is not JSON`, { cause: thrown });
  }
  if (typeof spec !== "object" || spec === null || Array.isArray(spec)) {
    throw new MoorError("invalid_argument", `${what}: its process spec is not a JSON object`);
  }
  let text: string;
  try {
    text = JSON.stringify({ ...spec, terminal: request.terminal });
  } catch (thrown) {
    // Written out, JSON needs more of the stack than read in.
    throw new MoorError("invalid_argument", `${what}: its process spec is nested too deeply`, { cause: thrown });
  }
  return new Exec(containerId, request, text);
}

/** How much of the heap the execs of one container hold: nobody but a client says when one is deleted. */
export class ExecMemory {
  /** Not less than what they hold: what has become less since is not known yet. */
  #atMost = 0;

  /** @throws MoorError resource_exhausted when one more would be too much beside those that are there. */
  admit(added: Exec, others: Iterable<Exec>): void {
    this.#atMost += added.heldBytes;
    if (this.#atMost <= mostHeldBytes) return;
    let held = 0;
    for (const other of others) held += other.heldBytes;
    this.#atMost = held;
    held += added.heldBytes;
    if (held > mostHeldBytes) {
      const what = `with those that are not deleted it would hold ${held} bytes of memory, ${mostHeldBytes} at most`;
      throw new MoorError("resource_exhausted", `add ${added.name}: ${what}`);
    }
    this.#atMost = held;
  }
}

/**
 * Has the runtime start it; the table has it as `starting`.
 * @param onExit called when it has ended, possibly before this resolves.
 * @param tell called when it runs; what it throws undoes the start.
 * @throws MoorError when it could not be started; no process and no stream is left then.
 */
export async function startExec(
  place: ExecPlace,
  exec: Exec,
  onExit: (exit: Exit) => void,
  tell: () => void,
): Promise<void> {
  const { context, containerId, bundle, options, runtime } = place;
  const { sys, reaper, log, namespace, environ } = context;
  const { execId, stdin, stdout, stderr, terminal } = exec.data;
  const { ioUid, ioGid } = options;
  const processPath = `${bundle}/${execId}-process.json`;
  const pidFile = `${bundle}/${execId}.pid`;
  let reported = true;
  // One that fails to start is nobody's news, even if a process had come of it.
  const whenEnded = (exit: Exit) => {
    if (reported) onExit(exit);
  };
  const stdio = await openStdio(
    { sys, reaper, log, changed: () => exec.part.touch() },
    { containerId, execId, namespace, bundle, stdin, stdout, stderr, terminal, ioUid, ioGid, environ },
  );
  const announcement = reaper.announce();
  GATE: passGate(sys, "exec.opened");
  try {
    must(sys.writeText(processPath, specOf(exec), O_CREAT | O_TRUNC, 0o600), `write ${processPath}`);
    const { childFds: fds, consoleSocket } = stdio;
    exec.owned = await runtime.exec(containerId, processPath, { pidFile, consoleSocket, fds }, announcement, whenEnded);
    exec.data.pid = exec.owned.pid;
    GATE: passGate(sys, "exec.claimed");
    if (exec.stdinClosed) stdio.closeStdin();
    exec.stdio = stdio;
    await stdio.attach();
    GATE: passGate(sys, "exec.attached");
    tell();
    exec.specText = "";
  } catch (thrown) {
    reported = false;
    if (exec.owned === undefined && !hasRefused(thrown))
      announcement.endStrays((pid) => isOfExec(sys, pid, place.initPid, stdio.childFds));
    exec.owned?.signal(SIGKILL);
    exec.owned = undefined;
    exec.stdio = undefined;
    exec.data.pid = 0 as Pid;
    stdio.abort();
    throw thrown;
  } finally {
    announcement.end();
    // A leftover goes with the bundle.
    sys.unlink(processPath);
  }
}

/**
 * Whether a child of ours that the runtime has not told of can only come of an exec in this container: it is in init's
 * own pid namespace, whose orphans are init's, so somebody put it there from outside; or it has a stream of this exec.
 */
function isOfExec(sys: Sys, pid: Pid, initPid: Pid, fds: readonly FdMapping[]): boolean {
  const namespaceOf = (process: Pid | "self"): string | Errno => sys.readlink(`/proc/${process}/ns/pid`);
  const own = namespaceOf(initPid);
  if (!isErrno(own) && own !== namespaceOf("self") && own === namespaceOf(pid)) return true;
  return fds.some(({ target, source }) => {
    const ours = sys.readlink(`/proc/self/fd/${source}`);
    return !isErrno(ours) && ours.startsWith("pipe:") && ours === sys.readlink(`/proc/${pid}/fd/${target}`);
  });
}

/** The runtime gives the terminal its size before the process runs, so that the first it sees is the one asked for. */
function specOf({ specText, wantedSize }: Exec): string {
  if (wantedSize === undefined) return specText;
  const consoleSize = { width: wantedSize.columns, height: wantedSize.rows };
  return JSON.stringify({ ...(JSON.parse(specText) as object), consoleSize });
}
