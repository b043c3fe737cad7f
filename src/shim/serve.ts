// The life of a serving shim, from its first accept to its exit: wires log, reaper, events and the Task service to the
// kernel, takes connections and signals, and decides when it is time to go. It has no word on containers: that is the
// Task service's.

import { Server, StatusError } from "ttrpc";
import { settledWithin } from "../reaper/deadline.ts";
import { Reaper } from "../reaper/reaper.ts";
import { errnoName, isErrno } from "../sys/errno.ts";
import { grpcCodes, MoorError } from "../sys/error.ts";
import { SIGCHLD, SIGINT, SIGTERM, SIGUSR1 } from "../sys/flags.ts";
import { passGate } from "../sys/gates.ts";
import type { Log } from "../sys/log.ts";
import type { Fd, Sys } from "../sys/sys.d.ts";
import { Acceptor } from "./acceptor.ts";
import { ControlDoor } from "./control-door.ts";
import { awaitsReadersMs, connectEventSink, eventStream } from "./event-sink.ts";
import { hostGoesDown } from "./host-down.ts";
import { IdleWatch } from "./idle-watch.ts";
import { Keeper, type Part, unkept } from "./keeper.ts";
import { KeptEvents } from "./kept-events.ts";
import { type Level, Logger } from "./logger.ts";
import { connectionLimit, connectionLimits } from "./peer-limits.ts";
import { type EventSink, Publisher } from "./publisher.ts";
import { readBufferBytes, SocketTransport, timersOf } from "./socket-transport.ts";
import { logState } from "./state-dump.ts";
import type { Resumption } from "./resume.ts";
import { TaskService } from "./task-service.ts";
import { version } from "./version.ts";

/** What `start` has settled and opened. */
export interface ServeSetup {
  readonly namespace: string;
  readonly id: string;
  /** Of the container that the shim was started for. */
  readonly bundle: string;
  readonly address: string;
  readonly socketPath: string;
  /** By which the file at socketPath is known to be ours. */
  readonly socketInode: number;
  /** Listening. */
  readonly listenFd: Fd;
  /** Undefined: the log stays in memory. */
  readonly logFd: Fd | undefined;
  /** "": there is nobody to tell of events. */
  readonly ttrpcAddress: string;
  readonly logLevel: Level;
  readonly listenFds: readonly Fd[];
  /** Has each signal sent to this process delivered to fn. */
  readonly onSignal: (fn: (signal: number) => void) => void;
  /** What did not work and did not matter enough to fail `start`. */
  readonly warnings: readonly string[];
}

/** Bounds of a shim's last moments, milliseconds: a daemon waits 3 s for Shutdown. */
const answersWithinMs = 2_000;
const eventsWithinMs = 3_000;
/** For output that a reader is just taking. */
const outputWithinMs = 5_000;

/**
 * Serves until it is time to go; returns at once, the event loop does the rest.
 * @param resumption what an image of the program before this one has left, after a crash.
 */
export function serve(sys: Sys, setup: ServeSetup, resumption?: Resumption): void {
  new Serving(sys, setup, resumption).begin();
}

class Serving {
  readonly #sys: Sys;
  readonly #setup: ServeSetup;
  readonly #log: Logger;
  readonly #reaper: Reaper;
  readonly #publisher: Publisher;
  readonly #server: Server;
  readonly #tasks: TaskService;
  readonly #control: ControlDoor;
  readonly #idle: IdleWatch;
  readonly #acceptor: Acceptor;
  readonly #keeper: Keeper;
  readonly #resumption: Resumption | undefined;
  #part: Part = unkept;
  readonly #readBuffer = new Uint8Array(readBufferBytes);
  readonly #mostConnections: number;
  #isFull = false;
  /** A SIGTERM has come: go when the last container has ended. */
  #leaveAfterLast = false;
  #leaving = false;

  constructor(sys: Sys, setup: ServeSetup, resumption: Resumption | undefined) {
    this.#sys = sys;
    this.#setup = setup;
    this.#resumption = resumption;
    const { logFd, logLevel: level, namespace, ttrpcAddress } = setup;
    this.#log = new Logger(sys, logFd === undefined ? { level } : { fd: logFd, level });
    this.#keeper = new Keeper(sys, this.#log);
    this.#reaper = new Reaper(sys, this.#log, () => this.#keeper.flush());
    this.#publisher = new Publisher({
      sys,
      log: this.#log,
      connect: ttrpcAddress === "" ? undefined : () => this.#connectEvents(),
      awaitsReadersMs: () => awaitsReadersMs(sys, ttrpcAddress),
      spoolPath: `${setup.bundle}/events`,
      kept: new KeptEvents(sys, this.#keeper),
      resumed: resumption?.events,
    });
    this.#server = new Server({
      timers: timersOf(sys),
      now: () => sys.monotonicMs(),
      statusOf: (thrown) => statusOf(thrown, this.#log),
      limits: connectionLimits,
    });
    this.#mostConnections = connectionLimit(sys);
    this.#tasks = new TaskService({
      sys,
      log: this.#log,
      reaper: this.#reaper,
      namespace,
      // Ours alone: a runtime has no use for it.
      environ: sys.environ.filter((entry) => !entry.startsWith("MOOR_LISTEN_FDS=")),
      debug: level === "debug",
      address: setup.address,
      events: eventStream(sys, this.#publisher, namespace),
      keeper: this.#keeper,
      listenFds: setup.listenFds,
      leave: () => this.#leave("shutdown was asked for"),
    });
    this.#control = new ControlDoor({ sys, log: this.#log, tasks: this.#tasks, dump: () => this.#dump() });
    this.#idle = new IdleWatch({
      sys,
      isEmpty: () => this.#tasks.containerCount === 0 && this.#server.connections === 0,
      onAbandoned: () => this.#leave("there is neither a container nor a client"),
    });
    this.#acceptor = new Acceptor({ sys, log: this.#log }, setup.listenFd, (fd) => this.#takeConnection(fd));
  }

  begin(): void {
    const { namespace, id, address, warnings } = this.#setup;
    this.#sys.onUncaught((text) => this.#log.error("an exception that nobody caught", { error: text }));
    this.#setup.onSignal((signal) => this.#signal(signal));
    this.#keeper.begin();
    this.#part = this.#keeper.part(() => this.#keep());
    this.#tasks.register(this.#server);
    this.#control.register(this.#server);
    this.#tasks.onChange = () => {
      this.#idle.changed();
      if (this.#leaveAfterLast && this.#tasks.livingCount === 0) this.#leave("the last container has ended");
    };
    this.#resumption?.run({
      log: this.#log,
      reaper: this.#reaper,
      keeper: this.#keeper,
      tasks: this.#tasks,
      accept: (fd) => this.#serveConnection(fd),
    });
    this.#leaveAfterLast = this.#resumption?.leaveAfterLast ?? false;
    const isLeaving = this.#resumption?.leaving === true;
    if (!isLeaving) this.#acceptor.begin();
    this.#idle.changed();
    this.#log.info("the shim serves", { namespace, id, address, version, pid: this.#sys.getpid() });
    for (const warning of warnings) this.#log.warn(warning);
    void this.#publisher.begin();
    if (isLeaving) this.#leave("it was about to when it crashed");
  }

  /** What another image needs beside the containers. */
  #keep(): Readonly<Record<string, unknown>> {
    // The function that it holds is left out by JSON, and made anew.
    return {
      kind: "shim",
      setup: { ...this.#setup, warnings: [] },
      leaveAfterLast: this.#leaveAfterLast,
      leaving: this.#leaving,
    };
  }

  #connectEvents(): EventSink {
    return connectEventSink(this.#sys, this.#setup.ttrpcAddress, this.#readBuffer, this.#keeper);
  }

  #takeConnection(fd: Fd): void {
    if (!this.#isTrusted(fd) || !this.#hasRoom(fd)) return;
    const followed = this.#sys.followRequests(fd);
    if (isErrno(followed)) this.#log.warn("a connection would not survive a crash", { error: errnoName(followed) });
    this.#serveConnection(fd);
  }

  #serveConnection(fd: Fd): SocketTransport {
    const flush = (): void => this.#keeper.flush();
    const transport = new SocketTransport(this.#sys, fd, this.#readBuffer, () => this.#idle.worked(), flush);
    const peer = this.#sys.peerCredentials(fd);
    const connection = this.#server.accept(transport, isErrno(peer) ? undefined : peer);
    this.#idle.changed();
    void connection.closed.then(() => this.#idle.changed());
    return transport;
  }

  /** One connection too many is hung up on: none of the others can be known to be wanted less. */
  #hasRoom(fd: Fd): boolean {
    const wasFull = this.#isFull;
    this.#isFull = this.#server.connections >= this.#mostConnections;
    if (!this.#isFull) return true;
    if (!wasFull) this.#log.error("a connection too many is refused", { connections: this.#mostConnections });
    this.#sys.close(fd);
    return false;
  }

  /**
   * The socket's mode keeps others out already. This holds where a folder was opened up, or the socket handed on: who may
   * give orders here may run programs as root. Others are hung up on.
   */
  #isTrusted(fd: Fd): boolean {
    const peer = this.#sys.peerCredentials(fd);
    if (!isErrno(peer) && (peer.uid === 0 || peer.uid === this.#sys.getuid())) return true;
    const caller = isErrno(peer) ? { error: errnoName(peer) } : { uid: peer.uid, pid: peer.pid };
    this.#log.warn("a caller that is neither root nor the shim's own user is refused", caller);
    this.#sys.close(fd);
    return false;
  }

  #signal(signal: number): void {
    switch (signal) {
      case SIGCHLD:
        this.#reaper.childSignal();
        return;
      case SIGTERM:
        this.#terminate("SIGTERM");
        return;
      case SIGINT:
        this.#terminate("SIGINT");
        return;
      case SIGUSR1:
        this.#writeDump();
        return;
      default:
        // A shim has no terminal that could hang up and no configuration to read again.
        this.#log.info("signal ignored", { signal });
    }
  }

  /** containers are worth more than obedience: the daemon would kill them as soon as the shim is gone. */
  #terminate(name: string): void {
    const containers = this.#tasks.livingCount;
    if (containers === 0) {
      this.#leave(`${name} came`);
      return;
    }
    this.#leaveAfterLast = true;
    this.#part.touch();
    this.#log.warn(`${name}: the shim goes on, and leaves when its last container has ended`, { containers });
    if (name === "SIGTERM") void this.#passOnWhenHostGoesDown();
  }

  async #passOnWhenHostGoesDown(): Promise<void> {
    if (!(await hostGoesDown(this.#sys, this.#reaper, this.#log))) return;
    this.#log.warn("the host goes down: SIGTERM is passed on to the containers");
    this.#tasks.passSignal(SIGTERM);
  }

  /** Whatever the log's level: somebody has asked for it. */
  #writeDump(): void {
    const level = this.#log.setLevel("info");
    logState(this.#log, this.#dump());
    this.#log.setLevel(level);
  }

  #dump(): Readonly<Record<string, unknown>> {
    const { namespace, id, address } = this.#setup;
    const { connections, calls } = this.#server;
    return {
      shim: { version, pid: this.#sys.getpid(), namespace, id, address, leaveAfterLast: this.#leaveAfterLast },
      heap: this.#sys.heap(),
      crashes: this.#resumption?.crashes ?? [],
      server: { connections, calls, pending: this.#server.pending() },
      log: this.#log.level,
      events: this.#publisher.state(),
      reaper: this.#reaper.state(),
      ...this.#tasks.dump(),
    };
  }

  #leave(why: string): void {
    if (this.#leaving) return;
    this.#leaving = true;
    this.#part.touch();
    this.#log.info("the shim leaves", { why });
    this.#control.close();
    void this.#end();
  }

  /** Nothing in here waits without a bound. */
  async #end(): Promise<void> {
    try {
      GATE: passGate(this.#sys, "shutdown.asked");
      this.#giveUpSocket();
      GATE: passGate(this.#sys, "shutdown.unlinked");
      await Promise.all([
        this.#server.shutdown(answersWithinMs),
        settledWithin(this.#sys, eventsWithinMs, this.#publisher.idle()),
        settledWithin(this.#sys, outputWithinMs, this.#tasks.drained()),
      ]);
      GATE: passGate(this.#sys, "shutdown.settled");
      const left = this.#publisher.leave();
      GATE: passGate(this.#sys, "shutdown.left");
      if (left > 0) this.#log.warn("the daemon has not taken all events", { left });
      this.#log.info("the shim ends");
    } catch (thrown) {
      this.#log.error("the shim ends in disorder", { error: MoorError.from(thrown).message });
    }
    this.#sys.exit(0);
  }

  /** The file first: as long as we listen nobody takes it for stale and puts another in its place. */
  #giveUpSocket(): void {
    const { listenFd, socketPath, socketInode } = this.#setup;
    const found = this.#sys.lstat(socketPath);
    if (!isErrno(found) && found.ino === socketInode) {
      const status = this.#sys.unlink(socketPath);
      if (isErrno(status))
        this.#log.warn("the socket cannot be removed", { path: socketPath, error: errnoName(status) });
    }
    this.#acceptor.stop();
    this.#sys.close(listenFd);
  }
}

/** What a thrown thing becomes on the wire. What is no MoorError should not have been thrown: the log has its stack. */
function statusOf(thrown: unknown, log: Log): StatusError {
  if (thrown instanceof StatusError) return thrown;
  if (thrown instanceof MoorError) return new StatusError(grpcCodes[thrown.code], thrown.message);
  const { message } = MoorError.from(thrown);
  const stack = thrown instanceof Error ? (thrown.stack ?? "") : "";
  log.error("a call failed in an unforeseen way", { error: message, stack });
  return new StatusError(grpcCodes.unknown, message);
}
