// `moor attach ID`: comes (back) to a container's stdio by the FIFOs that the shim serves. Leaving by the detach keys, or
// in any other way, ends nothing; while nobody is attached, output fills the FIFO (64 KiB) and then holds the container.

import { Status } from "../api/process.ts";
import type { StateResponse } from "../api/task.ts";
import { claimAttachment } from "./attachment.ts";
import { CliError, textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import { ControlLacking } from "./control-client.ts";
import { parseDetachKeys } from "./detach-keys.ts";
import { drainFifo, openReader, openWriter } from "./fifo.ts";
import { requireShim } from "./inspect.ts";
import { findContainer } from "./inventory.ts";
import { Session, type SessionStreams, statusOfSession } from "./session.ts";
import { takeDownIfAsked } from "./take-down.ts";

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
  let release: (() => void) | undefined;
  let leave: () => void = () => undefined;
  try {
    if (container.folder !== undefined) release = claimAttachment(container.folder);
    const state = await client.state(id);
    if (container.owner === "containerd") {
      log.warn(`${id} is containerd's: its other clients do not see what is shown here`);
    }
    if (state.status === Status.STOPPED) {
      await showRest(state);
      if (container.folder !== undefined) await takeDownIfAsked(context, client, container.folder);
      return state.exitStatus;
    }
    leave = await client.control.attached(id, "").catch((thrown: unknown) => {
      if (thrown instanceof ControlLacking) return () => undefined;
      throw thrown;
    });
    const streams = openStreams(state, flags);
    const options = {
      terminal: state.terminal,
      detachKeys,
      passInputEnd: flags.closeStdin,
      passSignals: flags.sigProxy,
    };
    const end = await new Session(client.process(id), streams, options, log).run();
    leave();
    if (end.kind === "detached") process.stderr.write(`read escape sequence: ${id} goes on running\n`);
    if (end.kind === "given-up") process.stderr.write(`gave up waiting: ${id} goes on running\n`);
    if (end.kind === "exited" && container.folder !== undefined) {
      await takeDownIfAsked(context, client, container.folder);
    }
    return statusOfSession(end);
  } catch (thrown) {
    throw thrown instanceof CliError ? thrown : new CliError(`attach to ${id}: ${textOf(thrown)}`, "failure", thrown);
  } finally {
    release?.();
    leave();
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

/** Of a container that has ended: what its FIFOs still hold. */
async function showRest(state: StateResponse): Promise<void> {
  if (state.stdout !== "") await drainFifo(pathOf(state.stdout), quietMs, (chunk) => process.stdout.write(chunk));
  if (state.stderr !== "" && !state.terminal) {
    await drainFifo(pathOf(state.stderr), quietMs, (chunk) => process.stderr.write(chunk));
  }
}

/** @throws CliError for output that does not go into a FIFO. */
function pathOf(uri: string): string {
  if (uri.startsWith("/")) return uri;
  if (uri.startsWith("fifo:///")) return uri.slice("fifo://".length);
  throw new CliError(`its output goes to ${uri}, to which nobody can attach`);
}
