// A kernel as small as the tests of this folder need: it counts fds, knows which paths are FIFOs, and can fail at any call
// that may fail. Pumps and processes do nothing by themselves: the test says what happens to them.

import type { Exit, OwnedProcess } from "../reaper/reaper.ts";
import { EAGAIN, EBADF, EMFILE, ENOENT } from "../sys/errno.ts";
import type { Log } from "../sys/log.ts";
import type { Errno, Fd, Pid, PumpEnd, PumpId, PumpRequest, SpawnRequest, Status, Sys } from "../sys/sys.d.ts";

export interface FakePump {
  readonly id: PumpId;
  /** What the two fds stood for. */
  readonly source: string;
  readonly target: string;
  readonly pipeSize: number | undefined;
  /** Answers who waits for the drain; "ended" comes of itself. */
  drained: ((why: "empty" | "full" | "ended") => void) | undefined;
  /** Its last word; the fds are closed first. */
  end(reason: PumpEnd["reason"], bytes?: bigint, errno?: number): void;
}

export interface FakeProcess {
  readonly request: SpawnRequest;
  readonly signals: number[];
  end(status: number, signal?: number): void;
}

export class FakeKernel {
  /** Open fds by what they stand for: "read /run/out", "pipe 1 write". */
  readonly fds = new Map<number, string>();
  /** What is there, by path. */
  readonly files = new Map<string, "fifo" | "file" | "folder">([["/dev/null", "file"]]);
  readonly calls: string[] = [];
  readonly pumps: FakePump[] = [];
  readonly processes: FakeProcess[] = [];
  readonly timers = new Map<number, { readonly ms: number; readonly fn: () => void }>();
  readonly polls = new Map<number, (events: number) => void>();
  readonly logged: string[] = [];
  /** What read finds, by what the fd stands for: bytes, or 0 at the end. */
  readonly readings = new Map<string, number>();
  /** Bytes that nobody has read yet, by what the fd stands for. */
  readonly unread = new Map<string, number>();
  /** fds that wait in the console socket. */
  arriving: string[] = [];
  peerUid = 0;
  /** 1: the next call that can fail fails with EMFILE. */
  failAfter = Number.POSITIVE_INFINITY;
  #next = 10;
  #pipes = 0;

  readonly log: Log = {
    debug: () => undefined,
    info: (message) => this.logged.push(message),
    warn: (message) => this.logged.push(message),
    error: (message) => this.logged.push(message),
  };

  readonly reaper = {
    spawn: (request: SpawnRequest): OwnedProcess => {
      if (this.#fails(`spawn ${request.file}`)) throw new Error(`spawn ${request.file} fails`);
      return this.#process(request);
    },
  };

  /** Everything that could be left behind. */
  leftovers(): readonly string[] {
    const sockets = [...this.files.keys()].filter((path) => path.endsWith(".sock"));
    return [...this.fds.values(), ...sockets, ...[...this.polls.keys()].map((fd) => `poll ${fd}`)];
  }

  /** The fd of the only thing that is called so. */
  fd(label: string): number {
    const found = [...this.fds].filter(([, each]) => each === label);
    if (found.length !== 1) throw new Error(`${found.length} fds are ${label}: ${[...this.fds.values()].join(", ")}`);
    return found[0]?.[0] as number;
  }

  /** Tells the poll of this fd. */
  ready(label: string): void {
    this.polls.get(this.fd(label))?.(1);
  }

  /** Fires the timers that run for this long or less. */
  pass(ms: number): void {
    for (const [id, timer] of [...this.timers]) if (timer.ms <= ms && this.timers.delete(id)) timer.fn();
  }

  readonly sys: Sys = new Proxy(this.#implemented() as Sys, {
    get(target, name) {
      if (!(name in target)) throw new Error(`the fake kernel has no sys.${String(name)}`);
      return Reflect.get(target, name) as unknown;
    },
  });

  #fails(call: string): boolean {
    this.calls.push(call);
    return --this.failAfter === 0;
  }

  #open(label: string): Fd {
    const fd = this.#next++ as Fd;
    this.fds.set(fd, label);
    return fd;
  }

  #named(fd: Fd): string {
    const label = this.fds.get(fd);
    if (label === undefined) throw new Error(`fd ${fd} is not open`);
    return label;
  }

  #close(fd: Fd): Status {
    const label = this.fds.get(fd);
    if (label === undefined) throw new Error(`fd ${fd} is closed twice`);
    if (this.polls.has(fd)) throw new Error(`${label} is closed while it is polled`);
    this.calls.push(`close ${label}`);
    this.fds.delete(fd);
    return 0;
  }

  #process(request: SpawnRequest): OwnedProcess {
    let exit: Exit | undefined;
    let resolve: (value: Exit) => void = () => undefined;
    const exited = new Promise<Exit>((done) => {
      resolve = done;
    });
    const pid = this.#next++ as Pid;
    for (const { source } of request.fds) this.#named(source);
    const process: FakeProcess = {
      request,
      signals: [],
      end: (status, signal = 0) => {
        exit = { pid, status, signal, atNs: 0n };
        resolve(exit);
      },
    };
    this.processes.push(process);
    return {
      pid,
      exited,
      get exit() {
        return exit;
      },
      signal: (signal) => process.signals.push(signal) > 0,
    };
  }

  #pumpStart(request: PumpRequest, fn: (end: PumpEnd) => void): PumpId | Errno {
    const [source, target] = [this.#named(request.takeSourceFd), this.#named(request.takeTargetFd)];
    const closeBoth = (): void => {
      this.#close(request.takeSourceFd);
      this.#close(request.takeTargetFd);
    };
    if (this.#fails(`pump ${source} to ${target}`)) {
      closeBoth();
      return EMFILE;
    }
    const id = this.#next++ as unknown as PumpId;
    const pump: FakePump = {
      id,
      source,
      target,
      pipeSize: request.pipeSize,
      drained: undefined,
      end: (reason, bytes = 0n, errno = 0) => {
        this.pumps.splice(this.pumps.indexOf(pump), 1);
        closeBoth();
        pump.drained?.("ended");
        fn({ reason, errno, bytes });
      },
    };
    this.pumps.push(pump);
    return id;
  }

  #implemented(): Partial<Sys> {
    const pumpOf = (id: PumpId): FakePump | undefined => this.pumps.find((pump) => pump.id === id);
    return {
      getpid: () => 42 as Pid,
      getuid: () => 0,
      randomBytes: (count) => new Uint8Array(count),
      encodeUtf8: (text) => new TextEncoder().encode(text),
      timerStart: (ms, fn) => {
        const id = this.#next++;
        this.timers.set(id, { ms, fn });
        return id as never;
      },
      timerStop: (id) => {
        this.timers.delete(id);
      },
      pollStart: (fd, _events, fn) => {
        if (this.#fails(`poll ${this.#named(fd)}`)) return EMFILE;
        this.polls.set(fd, fn);
        return 0;
      },
      pollStop: (fd) => (this.polls.delete(fd) ? 0 : ENOENT),
      pipe: () => {
        if (this.#fails("pipe")) return EMFILE;
        const number = ++this.#pipes;
        return [this.#open(`pipe ${number} read`), this.#open(`pipe ${number} write`)];
      },
      dup: (fd) => (this.#fails(`dup ${this.#named(fd)}`) ? EMFILE : this.#open(`${this.#named(fd)} again`)),
      fchown: (fd, uid, gid) => (this.#fails(`chown ${this.#named(fd)} ${uid}:${gid}`) ? EMFILE : 0),
      readable: (fd) => this.unread.get(this.#named(fd)) ?? 0,
      setNonblock: (fd) => (this.#fails(`nonblock ${this.#named(fd)}`) ? EMFILE : 0),
      close: (fd) => this.#close(fd),
      stat: (path) => {
        const kind = this.files.get(path);
        if (kind === undefined) return ENOENT;
        return { mode: { fifo: 0o010600, file: 0o100600, folder: 0o040700 }[kind] } as never;
      },
      open: (path, flags) => {
        const own = /^\/proc\/self\/fd\/(\d+)$/.exec(path)?.[1];
        if (own !== undefined) {
          const again = `write ${this.#named(Number(own) as Fd)}`;
          return this.#fails(again) ? EMFILE : this.#open(again);
        }
        if ((flags & 0o100) === 0 && !this.files.has(path)) return ENOENT;
        const how = (flags & 0o10000000) !== 0 ? "path of" : (flags & 1) === 0 ? "read" : "write";
        return this.#fails(`open ${path}`) ? EMFILE : this.#open(`${how} ${path}`);
      },
      mkdir: (path) => {
        if (this.#fails(`mkdir ${path}`)) return EMFILE;
        this.files.set(path, "folder");
        return 0;
      },
      unlink: (path) => {
        this.calls.push(`unlink ${path}`);
        return this.files.delete(path) ? 0 : ENOENT;
      },
      unixBind: (path) => {
        if (this.#fails(`bind ${path}`)) return EMFILE;
        // As the kernel follows the link of an open folder.
        const folder = /^\/proc\/42\/fd\/(\d+)\//.exec(path);
        const real =
          folder === null
            ? path
            : `${this.fds.get(Number(folder[1]))?.slice("path of ".length)}/${path.slice(folder[0].length)}`;
        this.files.set(real, "file");
        return this.#open("listening");
      },
      listen: () => (this.#fails("listen") ? EMFILE : 0),
      accept: () => this.#open("connection"),
      peerCredentials: () => ({ pid: 43 as Pid, uid: this.peerUid, gid: 0 }),
      receiveFds: () => ({ bytes: 1, fds: this.arriving.splice(0).map((label) => this.#open(label)) }),
      isTty: (fd) => this.#named(fd).startsWith("master"),
      ttySetSize: (fd, rows, columns) => {
        this.calls.push(`size of ${this.#named(fd)} ${columns}x${rows}`);
        return 0;
      },
      read: (fd) => {
        const label = this.fds.get(fd);
        return label === undefined ? EBADF : ((this.readings.get(label) ?? EAGAIN) as number);
      },
      pumpStart: (request, fn) => this.#pumpStart(request, fn),
      pumpDrained: (id, fn) => {
        const pump = pumpOf(id);
        if (pump === undefined) return ENOENT;
        pump.drained = fn;
        return 0;
      },
      pumpStop: (id) => {
        const pump = pumpOf(id);
        if (pump === undefined) return ENOENT;
        // Its end arrives later.
        queueMicrotask(() => pump.end("closed"));
        return 0;
      },
      pumpState: (id) => (pumpOf(id) === undefined ? ENOENT : { bytes: 7n, buffered: 0, waitsFor: "source" }),
    };
  }
}

/** Lets every promise that can go on go on. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
