// The fake OCI runtime: a program of the simulated machine that knows the commands Moor calls, keeps containers, writes
// pid files and its log, sends terminals, and may fail, hang, crash or be slow before or after it has done its work.

import type { SpawnRequest } from "../src/sys/sys.d.ts";
import { pipeBytes } from "./calls.ts";
import { VirtualContainer } from "./container.ts";
import { Description, runtimeRoot } from "./files.ts";
import type { Kernel } from "./kernel.ts";
import { Pipe } from "./pipe.ts";
import type { VirtualProcess } from "./processes.ts";
import { Output, Program, type Temper } from "./program.ts";

const SIGKILL = 9;
const SIGSEGV = 11;
/** Longer than any deadline of a call. */
const slowMs = 150_000;
/** Longer than most of what waits for one. */
const slowCommandMs = 40_000;

/** A process that a container was given, for ever: what the kernel knows of it is the truth. */
export interface MadeProcess {
  readonly containerId: string;
  /** "" for init. */
  readonly execId: string;
  readonly process: VirtualProcess;
  readonly outputs: ReadonlyMap<number, Output>;
}

/** How a call goes. */
type Course = "well" | "fails" | "failsLate" | "hangs" | "hangsLate" | "slow" | "slowLate" | "crashes" | "crashesLate";

export interface RuntimeManners {
  /** Chance that a call does not go well. */
  readonly trouble: number;
  /** How long a call takes, at most, milliseconds. */
  readonly callMs: number;
  /** A command that takes its time, after its work is done. */
  readonly slowCommand: string;
}

/** One call under way. */
interface Call {
  readonly process: VirtualProcess;
  readonly request: SpawnRequest;
  readonly args: readonly string[];
  readonly course: Course;
  /** A program that it has started in its own group, and waits for. */
  hook: VirtualProcess | undefined;
}

export class FakeRuntime {
  readonly containers = new Map<string, VirtualContainer>();
  readonly made: MadeProcess[] = [];
  /** Which command of which container did not go well, ever. */
  readonly troubled = new Set<string>();
  manners: RuntimeManners;
  restores = 0;
  /** Called before an init is made for a container that has had one. */
  onMadeAgain: (containerId: string) => void = () => undefined;
  temper: Temper;
  readonly #sharing = new Set<string>();
  readonly #kernel: () => Kernel;
  readonly #note: (text: string) => void;

  constructor(kernel: () => Kernel, manners: RuntimeManners, temper: Temper, note: (text: string) => void) {
    this.#kernel = kernel;
    this.manners = manners;
    this.temper = temper;
    this.#note = note;
  }

  /** Whether the container of this id shall have a pid namespace of its own. */
  setPidNamespace(id: string, own: boolean): void {
    if (own) this.#sharing.delete(id);
    else this.#sharing.add(id);
  }

  find(containerId: string, execId: string, pid: number): MadeProcess | undefined {
    let found: MadeProcess | undefined;
    for (const made of this.made) {
      if (made.containerId === containerId && made.execId === execId && made.process.pid === pid) found = made;
    }
    return found;
  }

  /** The kernel starts a program: false when it is not this one. */
  exec(process: VirtualProcess, request: SpawnRequest): boolean {
    if (request.file !== "runc") return false;
    const args = request.argv.slice(request.argv.indexOf("json") + 1);
    const call: Call = { process, request, args, course: this.#course(), hook: undefined };
    const key = `${args[0]} ${args.at(args[0] === "kill" ? -2 : -1)}`;
    if (call.course !== "well") {
      this.troubled.add(key);
      this.#note(`runtime ${args.join(" ")} ${call.course} (pid ${process.pid})`);
    }
    this.#later(call, () => this.#begin(call));
    return true;
  }

  #course(): Course {
    const { random } = this.#kernel();
    if (!random.chance(this.manners.trouble)) return "well";
    return random.pick(["fails", "failsLate", "hangs", "hangsLate", "slow", "slowLate", "crashes", "crashesLate"]);
  }

  #later(call: Call, fn: () => void, most = this.manners.callMs): void {
    const { timeline, random } = this.#kernel();
    timeline.after(random.delay(most), () => {
      if (!call.process.isDying && call.process.ended === undefined) fn();
    });
  }

  #begin(call: Call): void {
    const { course } = call;
    const { random, processes } = this.#kernel();
    // It ends with the call; one that is ended by force leaves it behind.
    if (course !== "well" && random.chance(0.3))
      call.hook = processes.fork(call.process.pid, "a hook of the runtime's");
    if (course === "hangs") return;
    if (course === "fails") this.#fail(call, "it does not want to");
    else if (course === "crashes") this.#crash(call);
    else if (course === "slow") this.#later(call, () => this.#work(call), slowMs);
    else this.#work(call);
  }

  #work(call: Call): void {
    const why = this.#command(call);
    const { course } = call;
    if (why !== undefined) this.#fail(call, why);
    else if (course === "hangsLate") return;
    else if (course === "failsLate") {
      // What it has made it takes back.
      this.#takeBack(call);
      this.#later(call, () => this.#fail(call, "it has thought better of it"));
    } else if (course === "crashesLate") this.#later(call, () => this.#crash(call));
    else {
      const { callMs, slowCommand } = this.manners;
      const most = course === "slowLate" ? slowMs : call.args[0] === slowCommand ? slowCommandMs : callMs;
      this.#later(call, () => this.#end(call, 0), most);
    }
  }

  #crash({ process }: Call): void {
    this.#kernel().processes.killed(process, SIGSEGV);
  }

  #end({ process, hook }: Call, status: number): void {
    const { processes } = this.#kernel();
    if (hook !== undefined) processes.exit(hook, 0);
    processes.exit(process, status);
  }

  #fail(call: Call, why: string): void {
    const at = call.request.argv.indexOf("--log");
    const line = `${JSON.stringify({ level: "error", msg: why, time: "2026-01-01T00:00:00Z" })}\n`;
    this.#kernel().files.putText(call.request.argv[at + 1] ?? "", line);
    this.#end(call, 1);
  }

  #takeBack({ args, process }: Call): void {
    const id = args.at(-1) ?? "";
    if (args[0] === "create" || args[0] === "restore") this.remove(id);
    if (args[0] !== "exec") return;
    const made = this.made.find((each) => each.containerId === id && each.process.parent === process.pid);
    if (made !== undefined) this.#kernel().processes.send(made.process, SIGKILL);
  }

  /** By force. */
  remove(id: string): void {
    const container = this.containers.get(id);
    container?.killAll();
    container?.removeCgroup();
    this.containers.delete(id);
    this.#kernel().files.removeTree(`${runtimeRoot}/${id}`);
  }

  /** Does the work; says why not. */
  #command(call: Call): string | undefined {
    const [command = "", ...rest] = call.args;
    if (command === "create") return this.#create(call);
    if (command === "restore") return this.#restore(call);
    const id = (command === "kill" ? rest.at(-2) : rest.at(-1)) ?? "";
    const container = this.containers.get(id);
    const force = rest.includes("--force");
    if (container === undefined) return command === "delete" && force ? undefined : "container does not exist";
    const isStopped = container.init.ended !== undefined;
    switch (command) {
      case "start":
        if (isStopped) return "cannot start a container that has stopped";
        if (container.status !== "created") return "cannot start an already running container";
        container.status = "running";
        this.#program(
          container,
          this.made.find((made) => made.process === container.init),
        );
        return undefined;
      case "exec":
        if (isStopped || container.init.isDying) return "cannot exec in a stopped container";
        if (container.status === "paused") return "cannot exec in a paused container";
        return this.#exec(call, container);
      case "kill":
        return this.#kill(container, Number(rest.at(-1)), rest.includes("--all"));
      case "pause":
      case "resume":
        if (isStopped || container.status === "created") return "container not running";
        if (command === "pause") container.freeze();
        else container.thaw();
        return undefined;
      case "update":
        return undefined;
      case "checkpoint":
        return isStopped || container.status === "created" ? "container not running" : undefined;
      case "delete":
        if (!isStopped && !force) return `cannot delete container ${id} that is not stopped: running`;
        this.remove(id);
        return undefined;
      default:
        return `unknown command "${command}"`;
    }
  }

  #kill(container: VirtualContainer, signal: number, all: boolean): string | undefined {
    const { processes } = this.#kernel();
    if (container.init.ended !== undefined && !all) return "container not running";
    for (const each of all ? container.living : [container.init]) processes.send(each, signal);
    return undefined;
  }

  #create(call: Call): string | undefined {
    const id = call.args.at(-1) ?? "";
    if (this.containers.has(id)) return "container with given ID already exists";
    if (this.made.some((made) => made.containerId === id && made.execId === "")) this.onMadeAgain(id);
    const init = this.#make(call, id, "");
    if (init === undefined) return "fork/exec /proc/self/exe: resource temporarily unavailable";
    const container = new VirtualContainer(this.#kernel(), id, !this.#sharing.has(id), init.process);
    this.containers.set(id, container);
    const { files } = this.#kernel();
    files.put(`${runtimeRoot}/${id}`, { kind: "folder" });
    files.putText(`${runtimeRoot}/${id}/state.json`, JSON.stringify({ cgroup_paths: container.cgroupPaths }));
    return undefined;
  }

  /** Made and started. */
  #restore(call: Call): string | undefined {
    const why = this.#create(call);
    const container = this.containers.get(call.args.at(-1) ?? "");
    if (why !== undefined || container === undefined) return why;
    container.status = "running";
    container.isRestored = true;
    this.restores++;
    this.#program(
      container,
      this.made.find((made) => made.process === container.init),
    );
    return undefined;
  }

  #exec(call: Call, container: VirtualContainer): string | undefined {
    const pidFile = this.#flag(call, "--pid-file");
    const execId = pidFile.slice(pidFile.lastIndexOf("/") + 1, -".pid".length);
    const made = this.#make(call, container.id, execId);
    if (made === undefined) return "fork/exec /proc/self/exe: resource temporarily unavailable";
    made.process.cgroup = container.id;
    if (container.ownPidNamespace) made.process.nsInit = container.init;
    this.#program(container, made);
    return undefined;
  }

  /** A process with the call's stdio, and its pid file. */
  #make(call: Call, containerId: string, execId: string): MadeProcess | undefined {
    const { processes, files, random } = this.#kernel();
    // A stage of the runtime's own, which becomes an orphan of the shim's.
    const stage = random.chance(0.5) ? processes.fork(call.process.pid, "a stage of the runtime's") : undefined;
    const process = processes.fork(call.process.pid, execId === "" ? containerId : `${containerId}/${execId}`);
    if (stage !== undefined) this.#kernel().timeline.after(random.delay(3), () => processes.exit(stage, 0));
    if (process === undefined) return undefined;
    process.group = process.pid;
    const socket = this.#flag(call, "--console-socket");
    if (socket === "") for (const [fd, description] of call.process.fds) process.fds.set(fd, description.share());
    else this.#sendTerminal(socket, process);
    const outputs = new Map([
      [1, new Output()],
      [2, new Output()],
    ]);
    if (socket !== "") outputs.set(2, outputs.get(1) as Output);
    const made = { containerId, execId, process, outputs };
    this.made.push(made);
    files.putText(this.#flag(call, "--pid-file"), String(process.pid));
    this.#note(`made ${process.what} as pid ${process.pid}`);
    process.onEnd = () =>
      this.#note(`${process.what} (pid ${process.pid}) has ended: ${JSON.stringify(process.ended)}`);
    return made;
  }

  #program(container: VirtualContainer, made: MadeProcess | undefined): void {
    if (made === undefined) return;
    made.process.comm = "program";
    new Program(this.#kernel(), container, made.process, made.outputs, this.temper).run();
  }

  #sendTerminal(path: string, process: VirtualProcess): void {
    const node = this.#kernel().files.get(path);
    const [output, input] = [new Pipe(pipeBytes), new Pipe(pipeBytes)];
    const slave = new Description("tty", "terminal", { source: input, target: output });
    for (const fd of [0, 1, 2]) process.fds.set(fd, slave.share());
    if (node?.kind !== "socket") return;
    const connection = new Description("connection", "console connection");
    connection.inbox.push(new Description("tty", "terminal's master", { source: output, target: input }).share());
    // The runtime hangs up as soon as it has sent.
    connection.pending = true;
    node.listener.inbox.push(connection.share());
    node.listener.notify();
  }

  #flag({ args }: Call, name: string): string {
    const at = args.indexOf(name);
    return at < 0 ? "" : (args[at + 1] ?? "");
  }
}
