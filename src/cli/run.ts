// `moor run`: a bundle through the real shim with no daemon anywhere. The state folder is made, the shim started in it
// as a daemon would, the task created and started; then either the command leaves (-d), or it stays attached and ends
// with the container's own status.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { join, resolve } from "node:path";
import type { Any } from "../api/google/protobuf/any.ts";
import { Options } from "../api/runc-options.ts";
import { claimAttachment } from "./attachment.ts";
import { CliError, errnoOf, exitCodes, statusOfStartFailure, textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import { parseDetachKeys } from "./detach-keys.ts";
import { openReader, openWriter } from "./fifo.ts";
import { checkIdentifier, newIdentifier } from "./identifier.ts";
import { startTimeOf } from "./proc.ts";
import { windowSize } from "./raw-terminal.ts";
import { parseRunSpec, runSpecText, type RunSpec } from "./run-spec.ts";
import { Session, type SessionEnd, type SessionStreams, statusOfSession } from "./session.ts";
import { ownNamespace } from "./settings.ts";
import { ShimClient } from "./shim-client.ts";
import { findShim, passedSockets, type ShimCall, startShim } from "./shim-program.ts";
import { signalNumber } from "./signals.ts";
import { StartGuard } from "./start-guard.ts";
import { type RunRecord, StateFolder } from "./state-folder.ts";
import { cleanUp, killShim, shimCallFor, takeDown } from "./take-down.ts";

export interface RunFlags {
  /** True: -t; false: --no-tty; undefined: as the bundle says and our own terminal allows. */
  readonly tty: boolean | undefined;
  readonly detach: boolean;
  readonly rm: boolean;
  readonly id: string | undefined;
  readonly runtimePath: string | undefined;
  readonly detachKeys: string | undefined;
}

/** A container that is created and not yet started. */
interface Prepared {
  readonly client: ShimClient;
  readonly streams: SessionStreams;
}

/** Runs the bundle and returns the command's exit status. @throws CliError. */
export async function runCommand(
  context: Context,
  bundleDir: string,
  args: readonly string[],
  flags: RunFlags,
): Promise<number> {
  const { settings, log } = context;
  const detachKeys = parseDetachKeys(flags.detachKeys ?? settings.detachKeys);
  const bundle = resolve(bundleDir);
  const spec = readSpec(bundle);
  const terminal = wantsTerminal(flags, spec);
  const id = flags.id ?? newIdentifier();
  const namespace = settings.namespace ?? ownNamespace;
  checkIdentifier("id", id);
  checkIdentifier("namespace", namespace);
  const shim = findShim(settings.shim, context.env);

  const folder = new StateFolder(settings.root, namespace, id);
  folder.create(runSpecText(spec, bundle, { args, terminal }));
  const call = shimCallFor(context, folder, shim);
  const guard = new StartGuard(() => undoNow(call, folder));
  const createdAt = new Date().toISOString();
  const record: RunRecord = { version: 1, id, namespace, bundle, terminal, createdAt, shim, rm: flags.rm };
  let prepared: Prepared;
  try {
    folder.writeRecord(record);
    prepared = await prepare(context, folder, record, call, flags, guard);
  } catch (thrown) {
    await cleanUp(context, call);
    folder.remove();
    throw thrown;
  } finally {
    guard.release();
  }
  log.info("the container runs", { id, namespace });
  if (flags.detach) {
    prepared.client.close();
    process.stdout.write(`${id}\n`);
    return exitCodes.ok;
  }
  const { client, streams } = prepared;
  const release = claimAttachment(folder);
  try {
    const options = { terminal, detachKeys, passInputEnd: true, passSignals: true };
    const end = await new Session(client.process(id), streams, options, log).run().catch((thrown: unknown) => {
      throw new CliError(
        `the shim of ${id} is lost (${textOf(thrown)}): moor ps shows what is left`,
        "failure",
        thrown,
      );
    });
    if (end.kind === "detached" || end.kind === "given-up") tellLeft(end, id, flags.rm);
    else await endRun(context, client, folder, shim, end);
    return statusOfSession(end);
  } finally {
    release();
    client.close();
  }
}

/** Starts the shim, creates the task and starts it; on the way back from a failure the shim is sent home. */
async function prepare(
  context: Context,
  folder: StateFolder,
  record: RunRecord,
  call: ShimCall,
  flags: RunFlags,
  guard: StartGuard,
): Promise<Prepared> {
  const { settings, env, log } = context;
  const { id } = folder;
  const address = await startShim(call, passedSockets(env, process.pid));
  log.info("the shim listens", { address });
  const client = await ShimClient.connect(address, settings.timeoutMs);
  let streams: SessionStreams = { stdin: undefined, stdout: undefined, stderr: undefined };
  let created = false;
  try {
    const shimPid = await client.shimPid(id);
    folder.writeRecord({ ...record, shimPid });
    // With -d nobody reads or writes yet: the shim keeps the FIFOs open by itself.
    if (!flags.detach) streams = openStreams(folder, record.terminal);
    guard.check();
    const pid = await client.create({
      id,
      bundle: folder.dir,
      terminal: record.terminal,
      stdin: folder.stdin,
      stdout: folder.stdout,
      stderr: record.terminal ? "" : folder.stderr,
      options: runtimeOptions(flags.runtimePath ?? settings.runtimePath),
    });
    created = true;
    const pidStartTime = startTimeOf(pid);
    folder.writeRecord({ ...record, pid, shimPid, ...(pidStartTime === undefined ? {} : { pidStartTime }) });
    const size = record.terminal ? windowSize() : undefined;
    if (size !== undefined) await client.resize(id, size.columns, size.rows);
    guard.check();
    await client.start(id);
  } catch (thrown) {
    for (const stream of Object.values(streams) as (Socket | undefined)[]) stream?.destroy();
    await sendHome(context, client, id, created);
    throw startFailure(thrown);
  }
  return { client, streams };
}

function openStreams(folder: StateFolder, terminal: boolean): SessionStreams {
  return {
    stdin: openWriter(folder.stdin, "before-reader"),
    stdout: openReader(folder.stdout),
    stderr: terminal ? undefined : openReader(folder.stderr),
  };
}

/** Ends what a failed run has begun. Its own failures are of no interest beside the first one. */
async function sendHome(context: Context, client: ShimClient, id: string, created: boolean): Promise<void> {
  const ignore = (what: string) => (thrown: unknown) => context.log.debug(what, { error: textOf(thrown) });
  if (created) {
    await client.kill(id, signalNumber("SIGKILL"), true).catch(ignore("kill what was created"));
    await client.delete(id).catch(ignore("delete what was created"));
  }
  await client.shutdown(id).catch(ignore("shut the shim down"));
  client.close();
}

function tellLeft(end: SessionEnd, id: string, rm: boolean): void {
  const why = end.kind === "detached" ? "read escape sequence" : "gave up waiting";
  const rest = rm ? "moor attach or moor wait removes it once it has ended" : "moor rm removes it once it has ended";
  process.stderr.write(`${why}: ${id} goes on running; moor attach ${id} comes back to it, ${rest}\n`);
}

/** The container has ended, or shall end: nothing of the run remains. */
async function endRun(
  context: Context,
  client: ShimClient,
  folder: StateFolder,
  shim: string,
  end: SessionEnd,
): Promise<void> {
  if (end.kind === "reader-gone") {
    // As with any program whose output goes into a pipe that nobody reads: it ends.
    await client.kill(folder.id, signalNumber("SIGKILL"), true).catch(() => undefined);
    await client.wait(folder.id);
  }
  await takeDown(context, client, folder, shim).catch((thrown: unknown) => {
    // The container's status is what was asked for; moor rm -f has perhaps been quicker.
    context.log.warn(`remove ${folder.id}: ${textOf(thrown)}`);
  });
}

function readSpec(bundle: string): RunSpec {
  const path = join(bundle, "config.json");
  try {
    return parseRunSpec(readFileSync(path, "utf8"), path);
  } catch (thrown) {
    if (thrown instanceof CliError) throw thrown;
    throw new CliError(`read the bundle's ${path}: ${errnoOf(thrown) ?? textOf(thrown)}`, "failure", thrown);
  }
}

/** Whether the container gets a terminal. @throws CliError for -t without one of our own to show it on. */
function wantsTerminal(flags: RunFlags, spec: RunSpec): boolean {
  if (flags.tty === false) return false;
  if (flags.detach) return flags.tty ?? spec.terminal;
  if (flags.tty === true && !process.stdin.isTTY) {
    throw new CliError("-t: standard input is no terminal (with -d none is needed)", "usage");
  }
  return flags.tty ?? (spec.terminal && process.stdin.isTTY && process.stdout.isTTY);
}

function runtimeOptions(runtimePath: string | undefined): Any | undefined {
  if (runtimePath === undefined) return undefined;
  const binaryName = runtimePath.includes("/") ? resolve(runtimePath) : runtimePath;
  const options: Options = {
    noPivotRoot: false,
    noNewKeyring: false,
    shimCgroup: "",
    ioUid: 0,
    ioGid: 0,
    binaryName,
    root: "",
    criuPath: "",
    systemdCgroup: false,
    criuImagePath: "",
    criuWorkPath: "",
    taskApiAddress: "",
    taskApiVersion: 0,
  };
  return { typeUrl: "containerd.runc.v1.Options", value: Options.encode(options).finish() };
}

function startFailure(thrown: unknown): CliError {
  if (thrown instanceof CliError) return thrown;
  const text = textOf(thrown);
  return new CliError(text, statusOfStartFailure(text), thrown);
}

/** The last resort when the command ends unforeseen: no waiting any more, only one call of the shim's binary. */
function undoNow(call: ShimCall, folder: StateFolder): void {
  const shimPid = folder.readRecord()?.shimPid;
  if (shimPid !== undefined) killShim(shimPid, call.program);
  const identity = ["-namespace", call.namespace, "-address", call.address, "-publish-binary", "", "-id", call.id];
  spawnSync(call.program, [...identity, "-bundle", call.bundle, "delete"], {
    cwd: call.bundle,
    timeout: call.timeoutMs,
  });
  folder.remove();
}
