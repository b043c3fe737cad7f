// `moor attach ID`: comes (back) to a container's stdio by the FIFOs that the shim serves. Leaving by the detach keys, or
// in any other way, ends nothing; while nobody is attached, output fills the FIFO (64 KiB) and then holds the container.

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { onExit } from "signal-exit";
import { Status } from "../api/process.ts";
import type { StateResponse } from "../api/task.ts";
import { CliError, errnoOf, textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import { parseDetachKeys } from "./detach-keys.ts";
import { drainFifo, openReader, openWriter } from "./fifo.ts";
import { requireShim } from "./inspect.ts";
import { findContainer } from "./inventory.ts";
import { startTimeOf } from "./proc.ts";
import { Session, type SessionStreams, statusOfSession } from "./session.ts";
import type { StateFolder } from "./state-folder.ts";

export interface AttachFlags {
  /** False: --no-stdin. */
  readonly stdin: boolean;
  readonly closeStdin: boolean;
  readonly sigProxy: boolean;
  readonly detachKeys: string | undefined;
}

const quietMs = 1_000;

/** Attaches and returns the command's exit status: the container's own when it ends meanwhile. @throws CliError. */
export async function attachCommand(context: Context, word: string, flags: AttachFlags): Promise<number> {
  const { settings, log } = context;
  const detachKeys = parseDetachKeys(flags.detachKeys ?? settings.detachKeys);
  const container = findContainer(word, settings);
  const { id } = container;
  const client = await requireShim(container, settings.timeoutMs);
  const release = container.folder === undefined ? undefined : claim(container.folder);
  try {
    const state = await client.state(id);
    if (container.owner === "containerd") {
      log.warn(`${id} is containerd's: its other clients do not see what is shown here`);
    }
    if (state.status === Status.STOPPED) return await showRest(state);
    const streams = openStreams(state, flags);
    const options = {
      id,
      terminal: state.terminal,
      detachKeys,
      passInputEnd: flags.closeStdin,
      passSignals: flags.sigProxy,
    };
    const end = await new Session(client, streams, options, log).run();
    if (end.kind === "detached") process.stderr.write(`read escape sequence: ${id} goes on running\n`);
    if (end.kind === "given-up") process.stderr.write(`gave up waiting: ${id} goes on running\n`);
    return statusOfSession(end);
  } catch (thrown) {
    throw thrown instanceof CliError ? thrown : new CliError(`attach to ${id}: ${textOf(thrown)}`, "failure", thrown);
  } finally {
    release?.();
    client.close();
  }
}

function openStreams(state: StateResponse, flags: AttachFlags): SessionStreams {
  return {
    stdin: flags.stdin && state.stdin !== "" ? openWriter(state.stdin, "reader-exists") : undefined,
    stdout: state.stdout === "" ? undefined : openReader(pathOf(state.stdout)),
    stderr: state.stderr === "" || state.terminal ? undefined : openReader(pathOf(state.stderr)),
  };
}

/** Of a container that has ended: what its FIFOs still hold, and its status. */
async function showRest(state: StateResponse): Promise<number> {
  if (state.stdout !== "") await drainFifo(pathOf(state.stdout), quietMs, (chunk) => process.stdout.write(chunk));
  if (state.stderr !== "" && !state.terminal) {
    await drainFifo(pathOf(state.stderr), quietMs, (chunk) => process.stderr.write(chunk));
  }
  return state.exitStatus;
}

/** @throws CliError for output that does not go into a FIFO. */
function pathOf(uri: string): string {
  if (uri.startsWith("/")) return uri;
  if (uri.startsWith("fifo:///")) return uri.slice("fifo://".length);
  throw new CliError(`its output goes to ${uri}, to which nobody can attach`);
}

/**
 * Says in the state folder that we are attached: two readers of one FIFO would each get a part of the output.
 * @throws CliError while another one is attached.
 */
function claim(folder: StateFolder): () => void {
  const me = `${process.pid} ${startTimeOf(process.pid) ?? ""}\n`;
  for (let attempt = 0; ; attempt++) {
    try {
      writeFileSync(folder.attached, me, { flag: "wx", mode: 0o600 });
      break;
    } catch (thrown) {
      if (errnoOf(thrown) !== "EEXIST") throw thrown;
      const pid = holderOf(folder.attached);
      if (pid !== undefined || attempt >= 10) {
        throw new CliError(`process ${pid} is attached to ${folder.id} already: its output can go to one place only`);
      }
      // Whoever wrote it is gone without having removed it (SIGKILL).
      rmSync(folder.attached, { force: true });
    }
  }
  const remove = (): void => {
    forget();
    rmSync(folder.attached, { force: true });
  };
  const forget = onExit(remove);
  return remove;
}

function holderOf(path: string): number | undefined {
  try {
    const [pid, startTime] = readFileSync(path, "utf8").trim().split(" ");
    return startTime !== undefined && startTimeOf(Number(pid)) === startTime ? Number(pid) : undefined;
  } catch {
    return undefined;
  }
}
