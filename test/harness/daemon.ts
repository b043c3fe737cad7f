// A private containerd: its own root, state, socket and configuration in one folder, only the plugins the tests need,
// ended by pid. It finds the shim under test in a bin folder of its own, where a copy of it lies alone.

import { spawn, type ChildProcess } from "node:child_process";
import {
  copyFileSync,
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { daemonVersion, findInPath, shimFileName, shimPath, testsMoor } from "./repository.ts";
import { until, within } from "./until.ts";

const CRI_PLUGINS = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"];
const DISABLED_PLUGINS = [
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.tracing",
  "io.containerd.nri.v1.nri",
  "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
];
const READY_MS = 20_000;
const STOP_MS = 15_000;

export class Daemon {
  /** Path of the gRPC socket; the ttrpc one has ".ttrpc" behind it. */
  readonly address: string;
  readonly stateDir: string;
  readonly rootDir: string;
  readonly binDir: string;
  readonly logPath: string;
  /** Folder of another containerd's programs than those in PATH; the next start is by it. */
  programs: string | undefined;
  /** Tables that the next start finds in its configuration, for the CRI plugin, which is loaded then. */
  criSettings: string | undefined;
  /** The file name under which the shim is found: another shim's, to stand in for it. */
  shimName = shimFileName();
  readonly #dir: string;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #shimFile: string | undefined;
  #process: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();

  /**
   * @param environment is added to containerd's own, and so reaches the shims it starts.
   * @param shimFile another build of the shim than the one under test.
   */
  constructor(dir: string, environment: Readonly<Record<string, string>> = {}, shimFile?: string) {
    this.#dir = dir;
    this.#shimFile = shimFile;
    this.#environment = environment;
    this.address = join(dir, "c.sock");
    this.stateDir = join(dir, "state");
    this.rootDir = join(dir, "root");
    this.binDir = join(dir, "bin");
    this.logPath = join(dir, "containerd.log");
  }

  /** Pid of the running containerd. @throws Error when none runs. */
  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error("containerd is not running");
    return pid;
  }

  get isRunning(): boolean {
    return this.#process !== undefined;
  }

  /** Starts containerd and waits until it answers at its socket. */
  async start(): Promise<void> {
    if (this.#process !== undefined) throw new Error("containerd is running already");
    const program = this.programs === undefined ? findInPath("containerd") : join(this.programs, "containerd");
    if (program === undefined) throw new Error("containerd is missing: install the Debian package containerd");
    this.#prepare(program);
    const logFd = openSync(this.logPath, "a");
    const child = spawn(program, ["--config", join(this.#dir, "config.toml")], {
      cwd: this.#dir,
      env: this.#env(),
      stdio: ["ignore", logFd, logFd],
    });
    closeSync(logFd);
    this.#process = child;
    this.#exited = new Promise((resolve) => {
      child.on("exit", () => {
        if (this.#process === child) this.#process = undefined;
        resolve();
      });
    });
    await until(
      "containerd to answer",
      READY_MS,
      () => {
        if (this.#process !== child) throw new Error(`containerd ended at once: ${this.logTail()}`);
        return answers(this.address);
      },
      () => this.logTail(),
    );
  }

  /** Ends containerd as an init system does (SIGTERM). */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  /** Ends containerd without a chance to do anything. */
  async kill9(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** The last lines of containerd's log, shims' lines among them. */
  logTail(lines = 30): string {
    return this.log().trimEnd().split("\n").slice(-lines).join("\n");
  }

  log(): string {
    return existsSync(this.logPath) ? readFileSync(this.logPath, "utf8") : "";
  }

  async #end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    child.kill(signal);
    await within(`containerd to end after ${signal}`, STOP_MS, this.#exited);
  }

  #prepare(program: string): void {
    for (const dir of [this.stateDir, this.rootDir, this.binDir, join(this.#dir, "tmp")]) {
      mkdirSync(dir, { recursive: true });
    }
    const shim = join(this.binDir, this.shimName);
    if (testsMoor && !existsSync(shim)) {
      copyFileSync(this.#shimFile ?? shimPath(), shim);
      chmodSync(shim, 0o755);
    }
    const disabled = this.criSettings === undefined ? [...CRI_PLUGINS, ...DISABLED_PLUGINS] : DISABLED_PLUGINS;
    writeFileSync(
      join(this.#dir, "config.toml"),
      [
        `version = ${daemonVersion(program).major === 1 ? 2 : 3}`,
        `root = "${this.rootDir}"`,
        `state = "${this.stateDir}"`,
        `disabled_plugins = ${JSON.stringify(disabled)}`,
        "[grpc]",
        `address = "${this.address}"`,
        "[ttrpc]",
        `address = "${this.address}.ttrpc"`,
        "[debug]",
        'level = "debug"',
        this.criSettings ?? "",
        "",
      ].join("\n"),
    );
  }

  #env(): NodeJS.ProcessEnv {
    // What is in front chooses containerd, its shim and the runtime (scripts/with-daemon).
    const others = this.programs === undefined ? "" : `${this.programs}:`;
    const path = `${this.binDir}:${others}${process.env["PATH"]}:/usr/sbin:/sbin`;
    return { PATH: path, TMPDIR: join(this.#dir, "tmp"), LANG: "C.UTF-8", ...this.#environment };
  }
}

/** Whether someone accepts connections at a unix socket. */
export function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
