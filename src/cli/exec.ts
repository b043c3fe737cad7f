// `moor exec ID -- CMD`: a process more in a container, by its shim, whatever its daemon does. The control service keeps
// it from the daemon and forgets it afterwards; a shim without one is asked by the Task API, as a daemon would.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Socket } from "node:net";
import { Status } from "../api/process.ts";
import { CliError, exitCodes, statusOfStartFailure, textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import { type ControlExecRequest, ControlLacking } from "./control-client.ts";
import { type ExecChanges, execSpecText, readerOf } from "./exec-spec.ts";
import { openReader, openWriter } from "./fifo.ts";
import { newIdentifier } from "./identifier.ts";
import { requireShim } from "./inspect.ts";
import { type Container, findContainer } from "./inventory.ts";
import { windowSize } from "./raw-terminal.ts";
import { Session, type SessionStreams, statusOfSession } from "./session.ts";
import type { SessionProcess, ShimClient } from "./shim-client.ts";

export interface ExecFlags {
  readonly tty: boolean;
  readonly interactive: boolean;
  readonly detach: boolean;
  readonly user: string | undefined;
  readonly cwd: string | undefined;
  readonly env: readonly string[];
}

/** Runs it and returns the command's exit status: its own. @throws CliError. */
export async function execCommand(
  context: Context,
  word: string,
  args: readonly string[],
  flags: ExecFlags,
): Promise<number> {
  const { settings, log } = context;
  if (args.length === 0) throw new CliError("there is no command to run in the container", "usage");
  if (flags.tty && !flags.detach && !process.stdin.isTTY) {
    throw new CliError("-t: standard input is no terminal (with -d none is needed)", "usage");
  }
  const container = findContainer(word, settings);
  const client = await requireShim(container, settings.timeoutMs);
  const pipes = new Pipes(flags);
  try {
    const request = await requestFor(context, client, container, args, flags, pipes);
    const streams = pipes.open();
    const started = await start(client, request).catch((thrown: unknown) => {
      const text = textOf(thrown);
      throw new CliError(text, statusOfStartFailure(text), thrown);
    });
    // Both sides have them open: nothing is left of them, whatever becomes of us.
    pipes.remove();
    if (flags.detach) return exitCodes.ok;
    const options = {
      terminal: flags.tty,
      // Who leaves an exec hangs up: there are no keys for it.
      detachKeys: new Uint8Array(0),
      passInputEnd: true,
      passSignals: true,
    };
    const end = await new Session(started.process, streams, options, log).run().catch((thrown: unknown) => {
      throw new CliError(`the shim of ${container.id} is lost (${textOf(thrown)})`, "failure", thrown);
    });
    if (end.kind === "exited") await started.forget();
    return statusOfSession(end);
  } finally {
    pipes.close();
    client.close();
  }
}

async function requestFor(
  context: Context,
  client: ShimClient,
  { id, bundle }: Container,
  args: readonly string[],
  flags: ExecFlags,
  pipes: Pipes,
): Promise<ControlExecRequest> {
  const { status, pid } = await client.state(id);
  if (status !== Status.RUNNING) {
    const what = status === Status.STOPPED ? "has ended" : status === Status.CREATED ? "is not started" : "is paused";
    throw new CliError(`exec in ${id}: it ${what}`);
  }
  const changes: ExecChanges = { ...flags, args, terminal: flags.tty };
  const spec = execSpecText(readFileSync(join(bundle, "config.json"), "utf8"), changes, context.env, readerOf(pid));
  const size = flags.tty && !flags.detach ? windowSize() : undefined;
  return {
    id,
    execId: `moor-${newIdentifier()}`,
    ...pipes.paths,
    terminal: flags.tty,
    spec: Buffer.from(spec),
    width: size?.columns ?? 0,
    height: size?.rows ?? 0,
    detach: flags.detach,
  };
}

/** An exec that runs. */
interface StartedExec {
  readonly process: SessionProcess;
  /** To be called once it has ended. */
  readonly forget: () => Promise<void>;
}

async function start(client: ShimClient, request: ControlExecRequest): Promise<StartedExec> {
  const { id, execId } = request;
  try {
    const { exited } = await client.control.exec(request);
    return { process: { ...client.process(id, execId), wait: () => exited }, forget: () => Promise.resolve() };
  } catch (thrown) {
    if (thrown instanceof ControlLacking) return startByTask(client, request);
    throw thrown;
  }
}

// The daemon is told of this one, as it has the same id for it; one that is left alone stays in the shim's list.
async function startByTask(client: ShimClient, request: ControlExecRequest): Promise<StartedExec> {
  const { id, execId, stdin, stdout, stderr, terminal, spec, width, height } = request;
  await client.addExec({ id, execId, stdin, stdout, stderr, terminal }, spec);
  const forget = async (): Promise<void> => void (await client.delete(id, execId).catch(() => undefined));
  try {
    await client.start(id, execId);
    if (terminal && width > 0) await client.resize(id, width, height, execId);
  } catch (thrown) {
    await forget();
    throw thrown;
  }
  return { process: client.process(id, execId), forget };
}

/** The FIFOs of an exec, in a folder of their own that is gone as soon as the shim has opened them. */
class Pipes {
  readonly paths: Pick<ControlExecRequest, "stdin" | "stdout" | "stderr">;
  readonly #dir: string | undefined;
  #streams: SessionStreams = { stdin: undefined, stdout: undefined, stderr: undefined };

  constructor({ detach, interactive, tty }: ExecFlags) {
    if (detach) {
      this.paths = { stdin: "", stdout: "", stderr: "" };
      return;
    }
    this.#dir = mkdtempSync(join(tmpdir(), "moor-exec-"));
    const path = (name: string, wanted: boolean): string => (wanted ? join(this.#dir as string, name) : "");
    this.paths = { stdin: path("stdin", interactive), stdout: path("stdout", true), stderr: path("stderr", !tty) };
    execFileSync("mkfifo", ["-m", "600", ...Object.values(this.paths).filter((each) => each !== "")]);
  }

  open(): SessionStreams {
    const { stdin, stdout, stderr } = this.paths;
    this.#streams = {
      stdin: stdin === "" ? undefined : openWriter(stdin, "before-reader"),
      stdout: stdout === "" ? undefined : openReader(stdout),
      stderr: stderr === "" ? undefined : openReader(stderr),
    };
    return this.#streams;
  }

  remove(): void {
    if (this.#dir !== undefined) rmSync(this.#dir, { recursive: true, force: true });
  }

  close(): void {
    for (const stream of Object.values(this.#streams) as (Socket | undefined)[]) stream?.destroy();
    this.remove();
  }
}
