// An exec that somebody asked for past the daemon: one call from its start to its end, after which it is forgotten. The
// daemon is told of none of it. A caller that goes away hangs up, as a terminal does: what the process writes from then on
// fails.

import type { Cancellation, Sender } from "ttrpc";
import type { ExecRequest, ExecResponse } from "../api/control.ts";
import { MoorError } from "../sys/error.ts";
import type { Log } from "../sys/log.ts";
import type { Container } from "./container.ts";
import type { ControlParts } from "./control-door.ts";
import type { Outcome, Process } from "./process.ts";
import { noTime, wireTime } from "./time.ts";

type ForgetParts = { readonly tasks: Pick<ControlParts["tasks"], "delete">; readonly log: Log };

const notYet = { exited: false, exitStatus: 0, exitedAt: undefined } as const;

/** @param ends the caller has gone, or the shim leaves. @throws MoorError when it could not be started; nothing is left then. */
export async function serveExec(
  parts: ControlParts,
  request: ExecRequest,
  output: Sender<ExecResponse>,
  ends: readonly Cancellation[],
): Promise<void> {
  const { id, execId, detach } = request;
  const container = parts.tasks.find(id);
  const pid = await start(parts, container, request);
  const process = container.process(execId);
  const over = process.wait().then(async (outcome) => {
    await forget(parts, id, execId);
    return outcome;
  });
  if (detach) {
    await output.send({ pid, ...notYet });
    return;
  }
  const forgets = ends.map((end) => end.onCancel(() => hangUp(process)));
  const left = new Promise<undefined>((resolve) => {
    for (const end of ends) end.onCancel(() => resolve(undefined));
  });
  await output.send({ pid, ...notYet });
  const outcome = await Promise.race([over, left]);
  for (const each of forgets) each();
  if (outcome !== undefined) await output.send({ pid, ...exitOf(outcome) });
}

/** Of a terminal nothing remains, as when a line is cut; pipes end, for who reads, and break, for who writes. */
function hangUp({ data, stdio }: Process): void {
  if (data.terminal) stdio?.abort();
  else stdio?.release();
}

/**
 * After a crash of the shim: those who had asked for a container's private execs have lost their calls, and nobody is left to
 * forget them.
 */
export function forgetPrivateExecs(parts: ForgetParts, container: Container): void {
  for (const exec of container.execs.values()) {
    const { isPrivate, execId, state, stdout } = exec.data;
    if (isPrivate !== true) continue;
    if (state === "created") void forget(parts, container.id, execId);
    else void exec.wait().then(() => forget(parts, container.id, execId));
    // One that was left alone has no output.
    if (stdout !== "") hangUp(exec);
  }
}

async function start(parts: ControlParts, container: Container, request: ExecRequest): Promise<number> {
  const { id, execId, stdin, stdout, stderr, terminal, spec, width, height } = request;
  container.addExec({ execId, stdin, stdout, stderr, terminal, spec, isPrivate: true });
  try {
    if (terminal && width > 0 && height > 0) container.resize(execId, width, height);
    return await container.start(execId);
  } catch (thrown) {
    await forget(parts, id, execId);
    throw MoorError.wrap(`exec in container ${id}`, thrown);
  }
}

/** Its container may have been deleted meanwhile, and it with that. */
async function forget({ tasks, log }: ForgetParts, id: string, execId: string): Promise<void> {
  try {
    await tasks.delete({ id, execId });
  } catch (thrown) {
    log.debug("forget an exec", { id, exec: execId, error: MoorError.from(thrown).message });
  }
}

function exitOf({ status, atNs }: Outcome): Omit<ExecResponse, "pid"> {
  return { exited: true, exitStatus: status, exitedAt: atNs === undefined ? noTime : wireTime(atNs) };
}
