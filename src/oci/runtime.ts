// The OCI runtime of one container, through its command line: one method a command. What makes a process (create,
// exec, restore) claims it from the reaper before anybody can reap it. No state but a counter; the calls may overlap.

import type { Announcement, Exit, OwnedProcess, Reaper } from "../reaper/reaper.ts";
import { must } from "../sys/error.ts";
import { O_CREAT, O_EXCL, SIGKILL } from "../sys/flags.ts";
import type { Log } from "../sys/log.ts";
import type { FdMapping, Sys } from "../sys/sys.d.ts";
import { CallHistory } from "./call-history.ts";
import type { RuntimeOptions } from "./options.ts";
import { readPidFile, removePidFile } from "./pid-file.ts";
import { parseAnswer, parseState, parseVersion, type RuntimeState, type RuntimeVersion } from "./runtime-answer.ts";
import {
  type CheckpointArguments,
  type CreateArguments,
  type ExecArguments,
  type RestoreArguments,
  checkpointArguments,
  createArguments,
  deleteArguments,
  execArguments,
  globalArguments,
  killArguments,
  restoreArguments,
  updateArguments,
} from "./runtime-arguments.ts";
import { type CallContext, callRuntime } from "./runtime-call.ts";
import { runtimeEnvironment } from "./runtime-environment.ts";
import { hasRefused, type Operation, RuntimeError } from "./runtime-error.ts";

/** How the runtime is called. Made from the options by runtimeConfig(). */
export interface RuntimeConfig {
  /** Name (looked up in PATH) or path. */
  readonly binary: string;
  /** Folder of the runtime's state, the namespace included. */
  readonly root: string;
  /** Absolute path of the container's bundle: working directory, log files. "" where there is none: version, features. */
  readonly bundle: string;
  readonly systemdCgroup: boolean;
  /** "" leaves it to the runtime. */
  readonly criuPath: string;
  readonly debug: boolean;
  /** The shim's own environment, NAME=value. */
  readonly environ: readonly string[];
  /** Takes the place of every deadline below, in milliseconds. */
  readonly deadlineMs?: number | undefined;
}

/** What the process that a call makes inherits. */
export interface InheritedFds {
  /** stdio as targets 0 to 2 (absent with a console socket), sockets and other fds from 3 on. */
  readonly fds: readonly FdMapping[];
}

export interface CreateOptions extends CreateArguments, InheritedFds {
  /** How many of the fds from 3 on are listening sockets, which the container finds by LISTEN_FDS. */
  readonly listenFds?: number;
}
export interface ExecOptions extends ExecArguments, InheritedFds {}
export interface RestoreOptions extends RestoreArguments, InheritedFds {}

export const defaultRuntime = "runc";
export const defaultRuntimeRoot = "/run/containerd/runc";

/**
 * How long a call may take, milliseconds. Those that run hooks or wait for a loaded disk get what the kubelet gives a
 * request (2 minutes); criu writes or reads the whole memory of the container.
 */
export const deadlinesMs: Readonly<Record<Operation, number>> = {
  create: 120_000,
  start: 120_000,
  exec: 120_000,
  kill: 30_000,
  delete: 120_000,
  pause: 30_000,
  resume: 30_000,
  update: 30_000,
  checkpoint: 900_000,
  restore: 900_000,
  state: 10_000,
  events: 10_000,
  features: 10_000,
  version: 10_000,
};

/** The runtime that these options name, for a container of this namespace in this bundle. */
export function runtimeConfig(
  options: RuntimeOptions,
  container: { namespace: string; bundle: string; environ: readonly string[]; debug?: boolean; deadlineMs?: number },
): RuntimeConfig {
  return {
    binary: options.binaryName === "" ? defaultRuntime : options.binaryName,
    root: `${options.root === "" ? defaultRuntimeRoot : options.root}/${container.namespace}`,
    bundle: container.bundle,
    systemdCgroup: options.systemdCgroup,
    criuPath: options.criuPath,
    debug: container.debug ?? false,
    environ: container.environ,
    deadlineMs: container.deadlineMs,
  };
}

/**
 * Every method throws RuntimeError with the runtime's own words when the runtime says no (code by failure), MoorError
 * deadline_exceeded when it took too long and was killed, and what Reaper.spawn throws when it cannot be started.
 */
export class Runtime {
  readonly config: RuntimeConfig;
  /** The last calls, for those who look into the shim. */
  readonly history = new CallHistory();
  readonly #context: CallContext;
  #calls = 0;

  constructor(sys: Sys, reaper: Pick<Reaper, "spawn">, log: Log, config: RuntimeConfig) {
    this.config = config;
    this.#context = { sys, reaper, log, bundle: config.bundle };
  }

  /**
   * Makes the container; its init waits for start(). The announcement must be open and is ended by the caller.
   * @throws as all, and failed_precondition when the new process is no child of ours.
   */
  async create(
    id: string,
    bundle: string,
    options: CreateOptions,
    announcement: Announcement,
    onExit?: (exit: Exit) => void,
  ): Promise<OwnedProcess> {
    const args = createArguments(id, bundle, options);
    return this.#make("create", args, options, announcement, onExit, options.listenFds ?? 0);
  }

  async start(id: string): Promise<void> {
    await this.#run("start", ["start", id]);
  }

  /** Adds a process to the container; processPath names a file with the JSON of an OCI process. */
  async exec(
    id: string,
    processPath: string,
    options: ExecOptions,
    announcement: Announcement,
    onExit?: (exit: Exit) => void,
  ): Promise<OwnedProcess> {
    return this.#make("exec", execArguments(id, processPath, options), options, announcement, onExit);
  }

  /** `all`: every process of the container, also those in a shared pid namespace. */
  async kill(id: string, signal: number, all: boolean): Promise<void> {
    await this.#run("kill", killArguments(id, signal, all));
  }

  /** Removes the stopped container (any, by force): false when the runtime knows of none, which is as good. */
  async delete(id: string, force: boolean): Promise<boolean> {
    try {
      await this.#run("delete", deleteArguments(id, force));
      return true;
    } catch (thrown) {
      // Common after a checkpoint that ended the container: the runtime has removed it itself.
      if (thrown instanceof RuntimeError && thrown.failure === "gone") return false;
      throw thrown;
    }
  }

  async pause(id: string): Promise<void> {
    await this.#run("pause", ["pause", id]);
  }

  async resume(id: string): Promise<void> {
    await this.#run("resume", ["resume", id]);
  }

  /** resourcesJson: an OCI LinuxResources object. */
  async update(id: string, resourcesJson: string): Promise<void> {
    const { sys } = this.#context;
    const path = `${this.config.bundle}/resources-${sys.getpid()}-${this.#calls}.json`;
    must(sys.writeText(path, resourcesJson, O_CREAT | O_EXCL, 0o600), `write ${path}`);
    try {
      await this.#run("update", updateArguments(id, path));
    } finally {
      sys.unlink(path);
    }
  }

  /** Writes an image of the container with criu. */
  async checkpoint(id: string, options: CheckpointArguments): Promise<void> {
    await this.#run("checkpoint", checkpointArguments(id, options));
  }

  /** Makes and starts the container from an image; as create(), but there is nothing left to start. */
  async restore(
    id: string,
    bundle: string,
    options: RestoreOptions,
    announcement: Announcement,
    onExit?: (exit: Exit) => void,
  ): Promise<OwnedProcess> {
    const args = restoreArguments(id, bundle, options);
    return this.#make("restore", args, options, announcement, onExit);
  }

  async state(id: string): Promise<RuntimeState> {
    return parseState(id, await this.#run("state", ["state", id], "answer"));
  }

  /** The statistics that runc prints (`events --stats`), as they are; crun has no such command: unimplemented. */
  async events(id: string): Promise<Readonly<Record<string, unknown>>> {
    return parseAnswer("events", await this.#run("events", ["events", "--stats", id], "answer"));
  }

  /** The JSON text of the OCI features structure; unimplemented where the runtime has no such command. */
  async features(): Promise<string> {
    const text = await this.#run("features", ["features"], "answer");
    parseAnswer("features", text);
    return text.trim();
  }

  async version(): Promise<RuntimeVersion> {
    return parseVersion(await this.#run("version", ["--version"], "answer"));
  }

  async #make(
    operation: Operation,
    args: readonly string[],
    made: InheritedFds & { readonly pidFile: string; readonly consoleSocket?: string | undefined },
    announcement: Announcement,
    onExit: ((exit: Exit) => void) | undefined,
    listenFds = 0,
  ): Promise<OwnedProcess> {
    const { sys } = this.#context;
    removePidFile(sys, made.pidFile);
    // With a console socket the process gets its terminal from the runtime, and the runtime's own output is ours to take;
    // else the runtime's stdio is the process's.
    const output = made.consoleSocket === undefined ? "none" : "errors";
    try {
      await this.#run(operation, args, output, made.fds, listenFds);
    } catch (thrown) {
      if (!hasRefused(thrown)) endHalfMade(sys, made.pidFile, announcement);
      throw thrown;
    }
    const pid = readPidFile(sys, made.pidFile);
    return onExit === undefined ? announcement.claim(pid) : announcement.claim(pid, onExit);
  }

  #run(
    operation: Operation,
    args: readonly string[],
    output: "none" | "errors" | "answer" = "errors",
    fds: readonly FdMapping[] = [],
    listenFds = 0,
  ): Promise<string> {
    const { binary, root, bundle, systemdCgroup, criuPath, debug, environ } = this.config;
    // One log per call, also between the shim and a `delete` of the same bundle: causes never get mixed up.
    const logPath = bundle === "" ? "" : `${bundle}/log-${this.#context.sys.getpid()}-${this.#calls++}.json`;
    const argv = [binary, ...globalArguments({ root, logPath, systemdCgroup, criuPath, debug }), ...args];
    const command =
      listenFds === 0
        ? { file: binary, argv, env: runtimeEnvironment(environ) }
        : withSockets(argv, runtimeEnvironment(environ, [`LISTEN_FDS=${listenFds}`]));
    const deadlineMs = this.config.deadlineMs ?? deadlinesMs[operation];
    const call = { operation, ...command, logPath, deadlineMs, fds, output };
    return this.history.follow(this.#context.sys, operation, () => callRuntime(this.#context, call));
  }
}

/** A runtime that was killed may have made the process before: nobody will ask for it any more. */
function endHalfMade(sys: Sys, pidFile: string, announcement: Announcement): void {
  try {
    announcement.claim(readPidFile(sys, pidFile)).signal(SIGKILL);
  } catch {
    // There is no pid file, as most often, or its process is not ours.
  }
}

/**
 * runc believes LISTEN_FDS only when LISTEN_PID is its own pid, which nobody knows before it runs: a shell says it, and
 * becomes the runtime. Used only where sockets are passed on purpose.
 */
function withSockets(argv: readonly string[], env: readonly string[]) {
  return { file: "/bin/sh", argv: ["sh", "-c", 'export LISTEN_PID=$$; exec "$@"', "sh", ...argv], env };
}
