// The moor command as a person calls it: from its bundle, as a process of its own, with a state folder of the scene's;
// bundles for it to run, and the proof after each test that nothing of its containers is left.

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { type ChildProcess, spawn } from "node:child_process";
import { afterEach } from "node:test";
import { type CommandOptions, type CommandResult, run, runOk } from "./command.ts";
import { clearAway, findLeaks, shimSocketPath } from "./leaks.ts";
import { isAlive } from "./processes.ts";
import { repositoryDir } from "./repository.ts";
import type { Scene } from "./scene.ts";
import { Terminal } from "./terminal.ts";
import { until } from "./until.ts";

const CGROUP_ROOT = "/sys/fs/cgroup";
const SETTLE_MS = 5_000;

/** A line of `moor ps --format json`: a stable interface. */
export interface PsLine {
  readonly id: string;
  readonly namespace: string;
  readonly pid: number;
  readonly status: string;
  readonly exitStatus: number | null;
  readonly exitedAt: string | null;
  readonly shimPid: number | null;
  readonly bundle: string;
  readonly daemon: string;
  readonly since: string | null;
  readonly execs: readonly string[];
  readonly connections: number | null;
  readonly shim: string | null;
  readonly shimVersion: string | null;
  readonly shimMemory: number | null;
}

export class MoorCommand {
  /** Where its state folders are. */
  readonly root: string;
  readonly #scene: Scene;

  constructor(scene: Scene) {
    this.#scene = scene;
    this.root = join(scene.dir, "moor");
  }

  /** The shim that it runs: always Moor's. */
  get shim(): string {
    return process.env["MOOR_TEST_SHIM"] ?? join(repositoryDir(), "build", "containerd-shim-moor-v2");
  }

  /** The command line: node, the command, the flags that keep it within the scene, and then `args`. */
  argv(...args: string[]): string[] {
    const command = process.env["MOOR_TEST_CLI"] ?? join(repositoryDir(), "build", "cli", "moor.mjs");
    if (!existsSync(command)) throw new Error(`${command} is missing: run make build first`);
    const { namespace, daemon } = this.#scene;
    const scene = ["--root", this.root, "--shim", this.shim, "-n", namespace, "-c", "/dev/null"];
    return [process.execPath, command, ...scene, "-a", daemon.address, "--containerd-state", daemon.stateDir, ...args];
  }

  /** Runs it to its end, whatever that is. */
  run(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return run(this.argv(...args), { input: "", ...options });
  }

  /** Runs it and returns its standard output. @throws Error when its status is not 0. */
  async ok(...args: string[]): Promise<string> {
    return (await runOk(this.argv(...args))).stdout;
  }

  /** Starts it, for tests that act while it runs; killed when the scene closes. */
  start(args: readonly string[]): MoorProcess {
    const started = new MoorProcess(this.argv(...args));
    this.#scene.onClose(() => started.child.kill("SIGKILL"));
    return started;
  }

  /** Starts it on a terminal. */
  terminal(args: readonly string[], size?: { columns: number; rows: number }): Terminal {
    const terminal = new Terminal(this.argv(...args), size);
    this.#scene.onClose(() => terminal.kill());
    return terminal;
  }

  /** `moor run -d` of a new id; returns the id once it runs. */
  async detached(bundle: string, program: readonly string[], ...flags: string[]): Promise<string> {
    const id = this.#scene.newId("moor");
    await this.ok("run", "-d", "--id", id, ...flags, bundle, ...(program.length > 0 ? ["--", ...program] : []));
    return id;
  }

  /** What `moor ps -a --format json` says of one container. */
  async line(id: string): Promise<PsLine | undefined> {
    const lines = JSON.parse(await this.ok("ps", "-a", "--format", "json")) as PsLine[];
    return lines.find((each) => each.id === id);
  }

  /** A fresh bundle as `moor bundle` makes it, with the tests' payload program in it. */
  async bundle(): Promise<string> {
    const dir = join(this.#scene.dir, `bundle-${this.#scene.newId("b")}`);
    await this.ok("bundle", dir);
    copyFileSync(join(this.#scene.rootfs, "bin/payload"), join(dir, "rootfs/bin/payload"));
    return dir;
  }

  /** A program to stand for the OCI runtime: `text` is its shell script, which ends in a call of runc. */
  runtime(text: string): string {
    const file = join(this.#scene.dir, this.#scene.newId("runtime"));
    mkdirSync(this.#scene.dir, { recursive: true });
    writeFileSync(file, `#!/bin/sh\n${text}\nexec runc "$@"\n`, { mode: 0o755 });
    return file;
  }

  /** The file of a container's state folder. */
  file(id: string, name: string): string {
    return join(this.root, this.#scene.namespace, id, name);
  }

  /** What is there of any container of the scene, one line each. */
  traces(): string[] {
    const { tag, namespace, ids } = this.#scene;
    const traces = findLeaks(this.#scene);
    if (existsSync(this.root)) traces.push(`state ${readdirSync(this.root, { recursive: true }).join(" ")}`);
    for (const id of ids) {
      const socket = shimSocketPath(this.root, namespace, id);
      if (existsSync(socket)) traces.push(`socket ${socket}`);
    }
    const sockets = readFileSync("/proc/net/unix", "utf8").split("\n");
    for (const line of sockets) if (line.includes(tag) && !line.includes("c.sock")) traces.push(`socket ${line}`);
    for (const dir of cgroupsNamed(tag)) if (!dir.includes(namespace)) traces.push(`cgroup ${dir}`);
    return traces;
  }

  /** @throws Error naming what is still there after a bounded wait. */
  async assertNoTrace(): Promise<void> {
    try {
      await until(
        "everything of moor's containers to be gone",
        SETTLE_MS,
        () => this.traces().length === 0,
        () => this.traces().join("\n"),
      );
    } finally {
      await this.#clear();
    }
  }

  /** So that what one test left does not fail the next. */
  async #clear(): Promise<void> {
    if (this.traces().length === 0) return;
    await clearAway(this.#scene);
    for (const dir of cgroupsNamed(this.#scene.tag)) rmdirSync(dir);
    rmSync(this.root, { recursive: true, force: true });
    for (const id of this.#scene.ids) {
      rmSync(shimSocketPath(this.root, this.#scene.namespace, id), { force: true });
      rmSync(join("/run/containerd/runc", this.#scene.namespace, id), { recursive: true, force: true });
    }
  }
}

/** The cgroups at the top whose name holds the mark: where a bundle without a cgroupsPath goes. */
function cgroupsNamed(mark: string): string[] {
  return readdirSync(CGROUP_ROOT, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => {
      const nested = readdirSync(join(CGROUP_ROOT, name)).filter((child) => child.includes(mark));
      return [...(name.includes(mark) ? [name] : []), ...nested.map((child) => join(name, child))];
    })
    .map((path) => join(CGROUP_ROOT, path));
}

/** A moor that runs, with what it has printed so far. */
export class MoorProcess {
  readonly child: ChildProcess;
  /** 128 + N when signal N ended it, as a shell has it. */
  readonly ended: Promise<number>;
  #stdout = "";
  #stderr = "";

  constructor(argv: readonly string[]) {
    const [file = "", ...args] = argv;
    this.child = spawn(file, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.child.stdout?.on("data", (chunk: Buffer) => {
      this.#stdout += chunk.toString();
    });
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.#stderr += chunk.toString();
    });
    this.child.stdin?.on("error", () => undefined);
    this.ended = new Promise((resolve) => {
      this.child.on("close", (status, signal) => resolve(status ?? 128 + constants.signals[signal ?? "SIGKILL"]));
    });
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error("moor could not be started");
    return this.child.pid;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  async untilStdout(pattern: RegExp, deadlineMs = 10_000): Promise<void> {
    await until(
      `moor to print ${pattern}`,
      deadlineMs,
      () => pattern.test(this.#stdout),
      () => JSON.stringify([this.#stdout, this.#stderr]),
    );
  }

  /** Ends it without a word, and waits for that. */
  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await until("moor to be gone", SETTLE_MS, () => !isAlive(this.pid));
  }
}

/** The command in this scene. After each test of the file nothing of its containers may be there. */
export function useMoor(scene: Scene): MoorCommand {
  const moor = new MoorCommand(scene);
  afterEach(() => moor.assertNoTrace());
  return moor;
}
