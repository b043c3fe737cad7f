// A private Docker: dockerd with folders, socket and containerd of its own, Moor as its default runtime, the command line
// client, and an image made of busybox. MOOR_TEST_DOCKER chooses the version by the names of scripts/fetch-daemons.
// dockerd makes no bridge and sets nothing of the machine's network; it is ended by its pid.

import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test, type TestContext } from "node:test";
import { run, runOk, type CommandOptions, type CommandResult } from "./command.ts";
import { Daemon } from "./daemon.ts";
import { fetchDaemons } from "./fetched.ts";
import { snippet } from "./install-page.ts";
import { assertNothingLeft, clearAway, type LeakScope } from "./leaks.ts";
import { processInfo } from "./processes.ts";
import { testsMoor } from "./repository.ts";
import { makeRootfs } from "./rootfs.ts";
import { Terminal } from "./terminal.ts";
import { until, within } from "./until.ts";

const READY_MS = 60_000;
const STOP_MS = 30_000;
/** dockerd makes it whatever its options say. */
const SYSTEM_FOLDERS = ["/run/docker/plugins", "/run/docker"];

/** What daemon.json says, and what a started dockerd runs with. */
export type DockerConfig = Readonly<Record<string, unknown>>;

export class Docker implements LeakScope {
  readonly tag = randomBytes(4).toString("hex");
  readonly namespace = `moor-e2e-${this.tag}`;
  readonly ids: string[] = [];
  readonly dir: string;
  readonly fifoDir: string;
  /** The containerd that dockerd uses. */
  readonly daemon: Daemon;
  /** The version's name, as of scripts/fetch-daemons. */
  readonly version = process.env["MOOR_TEST_DOCKER"] ?? "docker-28";
  readonly major = Number(/\d+/.exec(this.version)?.[0]);
  /** It knows the stock shim only, by its name: Moor is found under that name. */
  readonly knowsOneShim = this.major < 23;
  readonly image = "moor-test";
  /** Why there is nothing to test with. */
  missing: string | undefined;
  #programs = "";
  #process: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  readonly #foundFolders = SYSTEM_FOLDERS.filter((folder) => existsSync(folder));

  constructor() {
    this.dir = mkdtempSync(join(tmpdir(), `moor-e2e-${this.tag}-`));
    // Where dockerd has its containers' FIFOs.
    this.fifoDir = join(this.dir, "exec", "containerd");
    this.daemon = new Daemon(this.dir);
    if (this.knowsOneShim && testsMoor) this.daemon.shimName = "containerd-shim-runc-v2";
  }

  /** What daemon.json says: docs/install.md's text as it stands, and what the tests add. */
  config(): DockerConfig {
    const shared = { "live-restore": true };
    // It writes a key into /etc/docker otherwise.
    if (this.knowsOneShim) return { ...shared, "deprecated-key-path": join(this.dir, "key.json") };
    if (!testsMoor) return shared;
    const documented = JSON.parse(snippet("daemon.json")) as { readonly runtimes: DockerConfig };
    const options = JSON.parse(snippet("daemon-options.json")) as {
      readonly runtimes: Readonly<Record<string, { readonly options: DockerConfig }>>;
    };
    const { moor } = options.runtimes;
    return {
      ...shared,
      ...documented,
      runtimes: {
        ...documented.runtimes,
        "moor-by-path": { runtimeType: join(this.daemon.binDir, this.daemon.shimName) },
        "moor-with-options": { ...moor, options: { ...moor?.options, ConfigPath: join(this.dir, "moor.toml") } },
      },
    };
  }

  /** Fetches Docker, starts it, and loads the image. */
  async open(): Promise<void> {
    const folders = await fetchDaemons(this.version);
    if (typeof folders === "string") {
      this.missing = folders;
      return;
    }
    this.#programs = folders.get(this.version) ?? "";
    mkdirSync(join(this.dir, "tmp"));
    await this.daemon.start();
    await this.start();
    const rootfs = await makeRootfs(join(this.dir, "rootfs"));
    const archive = join(this.dir, "image.tar");
    await runOk(["tar", "-C", rootfs, "-cf", archive, "."]);
    await this.ok("import", archive, this.image);
  }

  /** Starts dockerd and waits until it answers. */
  async start(): Promise<void> {
    const configFile = join(this.dir, "daemon.json");
    writeFileSync(configFile, JSON.stringify(this.config()));
    const folders = ["--data-root", join(this.dir, "data"), "--exec-root", join(this.dir, "exec")];
    const places = [...folders, "--pidfile", join(this.dir, "dockerd.pid"), "--host", this.#host];
    const containerd = ["--containerd", this.daemon.address, "--containerd-namespace", this.namespace];
    const plugins = ["--containerd-plugins-namespace", `${this.namespace}-plugins`];
    const network = [
      "--bridge=none",
      "--iptables=false",
      "--ip6tables=false",
      "--ip-forward=false",
      "--userland-proxy=false",
    ];
    const rest = ["--storage-driver", "overlay2", "--cgroup-parent", `/${this.namespace}`];
    const logFd = openSync(this.#logPath, "a");
    const child = spawn(
      join(this.#programs, "dockerd"),
      ["--config-file", configFile, ...places, ...containerd, ...plugins, ...network, ...rest],
      { cwd: this.dir, env: this.#env(), stdio: ["ignore", logFd, logFd] },
    );
    closeSync(logFd);
    this.#process = child;
    this.#exited = new Promise((resolve) => {
      child.on("exit", () => {
        if (this.#process === child) this.#process = undefined;
        resolve();
      });
    });
    await until(
      "dockerd to answer",
      READY_MS,
      async () => {
        if (this.#process !== child) throw new Error(`dockerd ended at once: ${this.logTail()}`);
        return (await this.run(["info"])).status === 0;
      },
      () => this.logTail(),
    );
  }

  /** Ends dockerd as an init system does. */
  stop(): Promise<void> {
    return this.#end("SIGTERM");
  }

  /** Ends dockerd without a chance to do anything. */
  kill9(): Promise<void> {
    return this.#end("SIGKILL");
  }

  /** The client's command line. */
  argv(...args: readonly string[]): string[] {
    return [join(this.#programs, "docker"), "--config", join(this.dir, "client"), "--host", this.#host, ...args];
  }

  /** Runs the client to its end, whatever that is. */
  run(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return run(this.argv(...args), { env: this.#env(), deadlineMs: 60_000, ...options });
  }

  /** Runs the client and returns what it printed, without the last line feed. @throws Error when its status is not 0. */
  async ok(...args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.run(args);
    if (status !== 0) throw new Error(`docker ${args.join(" ")}: ${status}: ${stderr}\n${this.logTail()}`);
    return stdout.replace(/\n$/, "");
  }

  /** Runs the client on a terminal. */
  terminal(...args: readonly string[]): Terminal {
    return new Terminal(this.argv(...args));
  }

  /** `docker run --rm` of a command in the image, with these flags; returns how that ended. */
  once(flags: readonly string[], ...command: readonly string[]): Promise<CommandResult> {
    return this.run(["run", "--rm", "--network", "none", ...flags, this.image, ...command]);
  }

  /** `docker run -d`; returns the container's id. It is removed when the test ends. */
  async detached(t: TestContext, flags: readonly string[], ...command: readonly string[]): Promise<string> {
    const id = await this.ok("run", "-d", "--network", "none", ...flags, this.image, ...command);
    this.ids.push(id);
    t.after(async () => {
      await this.run(["rm", "-f", id]);
    });
    return id;
  }

  /** What `docker inspect` says in a template's words. */
  inspect(id: string, template: string): Promise<string> {
    return this.ok("inspect", "--format", template, id);
  }

  async pidOf(id: string): Promise<number> {
    return Number(await this.inspect(id, "{{.State.Pid}}"));
  }

  /** @throws Error when the container is not served by the shim under test. */
  async assertServed(id: string): Promise<void> {
    const shim = processInfo(processInfo(await this.pidOf(id))?.ppid ?? 0);
    const words = [this.daemon.shimName, this.daemon.shimName.slice(0, 15)];
    const named =
      shim !== undefined && [shim.comm, ...shim.argv].some((word) => words.some((name) => word.includes(name)));
    const text = shim === undefined ? "" : readFileSync(`/proc/${shim.pid}/maps`, "utf8");
    if (!named || (testsMoor && !text.includes(this.dir))) {
      throw new Error(`${id} is served by ${JSON.stringify(shim)}`);
    }
  }

  /** Ends both daemons and removes everything. @throws Error when the tests left something behind. */
  async close(): Promise<void> {
    try {
      if (this.missing !== undefined) return;
      if (this.#process === undefined) await this.start();
      const left = await this.ok("ps", "-aq", "--no-trunc");
      if (left !== "") throw new Error(`containers are left: ${left}`);
      await this.stop();
      // dockerd mounts it on itself, and keeps that with live-restore.
      const data = join(this.dir, "data");
      if (readFileSync("/proc/self/mountinfo", "utf8").includes(` ${data} `)) await runOk(["umount", data]);
      await assertNothingLeft(this);
    } finally {
      await this.stop();
      if (this.daemon.isRunning) await this.daemon.stop();
      await clearAway(this);
      for (const folder of SYSTEM_FOLDERS) if (!this.#foundFolders.includes(folder)) removeEmpty(folder);
      if (process.env["MOOR_TEST_KEEP"] === undefined) rmSync(this.dir, { recursive: true, force: true });
    }
  }

  logTail(lines = 15): string {
    if (!existsSync(this.#logPath)) return "";
    return readFileSync(this.#logPath, "utf8").trimEnd().split("\n").slice(-lines).join("\n");
  }

  get #logPath(): string {
    return join(this.dir, "dockerd.log");
  }

  get #host(): string {
    return `unix://${join(this.dir, "docker.sock")}`;
  }

  #env(): NodeJS.ProcessEnv {
    const path = `${this.#programs}:${process.env["PATH"]}:/usr/sbin:/sbin`;
    return { PATH: path, TMPDIR: join(this.dir, "tmp"), LANG: "C.UTF-8", DOCKER_BUILDKIT: "0", HOME: this.dir };
  }

  async #end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    child.kill(signal);
    await within(`dockerd to end after ${signal}`, STOP_MS, this.#exited);
  }
}

function removeEmpty(folder: string): void {
  if (existsSync(folder) && readdirSync(folder).length === 0) rmdirSync(folder);
}

/** A test with this name; it is left out, with the reason, when Docker cannot be had. */
export type DockerTest = (name: string, body: (t: TestContext) => Promise<void>) => void;

/** The Docker of a test file, from before its first test until after its last; and how the file names its tests. */
export function useDocker(): { readonly docker: Docker; readonly dockerTest: DockerTest } {
  if (process.getuid?.() !== 0) throw new Error("the end-to-end tests run containers and so need root");
  const docker = new Docker();
  before(() => docker.open());
  after(() => docker.close());
  const dockerTest: DockerTest = (name, body) => {
    void test(name, async (t) => {
      if (docker.missing === undefined) await body(t);
      else t.skip(`Docker cannot be fetched: ${docker.missing}`);
    });
  };
  return { docker, dockerTest };
}
