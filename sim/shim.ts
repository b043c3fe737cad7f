// The shim's core on a simulated kernel, wired together as src/shim/serve.ts does it, but for sockets and the process.

import { Client, Server, StatusError } from "ttrpc";
import { settledWithin } from "../src/reaper/deadline.ts";
import { Reaper } from "../src/reaper/reaper.ts";
import { Acceptor } from "../src/shim/acceptor.ts";
import { eventStream } from "../src/shim/event-sink.ts";
import { keepsNothing } from "../src/shim/keeper.ts";
import { Publisher } from "../src/shim/publisher.ts";
import { SocketTransport, timersOf } from "../src/shim/socket-transport.ts";
import { TaskService } from "../src/shim/task-service.ts";
import { grpcCodes, MoorError, must } from "../src/sys/error.ts";
import { SIGCHLD } from "../src/sys/flags.ts";
import type { Log, LogFields } from "../src/sys/log.ts";
import type { Fd, Sys } from "../src/sys/sys.d.ts";
import type { Daemon } from "./daemon.ts";
import type { Kernel } from "./kernel.ts";
import type { Observer } from "./observer.ts";
import { ClientEnd } from "./sockets.ts";

export const socketPath = "/run/shim.sock";

export interface Shim {
  readonly reaper: Reaper;
  readonly tasks: TaskService;
  readonly publisher: Publisher;
  readonly server: Server;
  /** A new connection of a client's, and what breaks it. @throws StatusError when nobody listens. */
  connect(): { readonly client: Client; readonly breaks: () => void };
  /** All events, in order, as the daemon is to take them. */
  readonly published: readonly string[];
  /** Containers half made that the shim could not take back, and has said so: the daemon's `delete` is for them. */
  readonly halfMade: ReadonlySet<string>;
  readonly hasLeft: () => boolean;
  readonly isCreating: (id: string) => boolean;
  /** Answers what is under way, and closes. */
  end(): Promise<void>;
}

export interface ShimSurroundings {
  readonly kernel: Kernel;
  /** Its calls of the kernel. */
  readonly sys: Sys;
  readonly daemon: Daemon;
  readonly observer: Observer;
  readonly note: ((text: string) => void) | undefined;
  readonly broken: (text: string) => void;
  /** Called after each event. */
  published(topic: string): void;
}

/** Starts it. */
export function startShim(surroundings: ShimSurroundings): Shim {
  const { kernel, sys, daemon, observer, note, broken } = surroundings;
  const { timeline, random, files } = kernel;
  const halfMade = new Set<string>();
  const say =
    (level: string) =>
    (message: string, fields: LogFields = {}): void => {
      if (kernel.isEnded) return;
      if (message === "a call failed in an unforeseen way") broken(`${message}: ${String(fields["error"])}`);
      if (message === "take back a container half made") halfMade.add(String(fields["id"]));
      if (note === undefined) return;
      const shown = Object.entries(fields).map(([name, value]) => `${name}=${String(value)}`);
      note(`${level}: ${message} ${shown.join(" ")}`);
    };
  const log: Log = { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
  const reaper = new Reaper(sys, log);
  const published: string[] = [];
  const publisher = new Publisher({
    sys,
    log,
    connect: () => {
      if (kernel.isEnded) throw new MoorError("unavailable", "the shim is dead");
      const sink = daemon.connect();
      // What is under way when it dies comes to no end.
      return {
        forward: (request, timeoutMs) =>
          kernel.isEnded ? new Promise<void>(() => undefined) : sink.forward(request, timeoutMs),
        close: () => sink.close(),
      };
    },
    spoolPath: "/run/events.spool",
    memoryLimitBytes: random.pick([150, 1024]),
  });
  const stream = eventStream(
    sys,
    {
      publish(request: Uint8Array) {
        published.push(Buffer.from(request).toString("hex"));
        publisher.publish(request);
      },
    } as Publisher,
    "sim",
  );
  let left = false;
  const tasks = new TaskService({
    sys,
    log,
    reaper,
    namespace: "sim",
    environ: [],
    debug: false,
    address: `unix://${socketPath}`,
    events: {
      publish(topic, type, message) {
        // Only the living are heard.
        if (kernel.isEnded) return;
        note?.(
          `event ${topic} ${Buffer.from(message)
            .toString("latin1")
            .replaceAll(/[^ -~]+/g, " ")}`,
        );
        observer.event(topic, message);
        stream.publish(topic, type, message);
        surroundings.published(topic);
      },
    },
    listenFds: [],
    keeper: keepsNothing,
    leave: () => {
      left = true;
    },
  });
  sys.signalStart([SIGCHLD], () => reaper.childSignal());
  const server = new Server({
    timers: timersOf(sys),
    statusOf: (thrown) => {
      if (thrown instanceof StatusError) return thrown;
      if (thrown instanceof MoorError) return new StatusError(grpcCodes[thrown.code], thrown.message);
      broken(`something else than a MoorError was thrown: ${thrown instanceof Error ? thrown.stack : String(thrown)}`);
      return new StatusError(grpcCodes.unknown, String(thrown));
    },
  });
  tasks.register(server);
  const listenFd = kernel.faults.without(() => listen(sys));
  const buffer = new Uint8Array(1024);
  const acceptor = new Acceptor({ sys, log }, listenFd, (fd) => server.accept(new SocketTransport(sys, fd, buffer)));
  kernel.faults.without(() => acceptor.begin());
  const socketBytes = random.pick([96, 4096, 4096, 4096]);
  return {
    reaper,
    tasks,
    publisher,
    server,
    published,
    halfMade,
    hasLeft: () => left,
    isCreating: (id) => (tasks.dump()["creating"] as readonly string[]).includes(id),
    connect() {
      const end = new ClientEnd(kernel, socketPath, socketBytes);
      const client = new Client(end, {
        timers: {
          start: (ms, fn) => timeline.after(ms, fn),
          stop: (due) => timeline.cancel(due as ReturnType<typeof timeline.after>),
        },
      });
      return { client, breaks: () => end.destroy() };
    },
    async end() {
      files.unlink(socketPath);
      acceptor.stop();
      sys.close(listenFd);
      const within = await settledWithin(sys, 5_000, server.shutdown(2_000));
      if (!within) broken("the server's shutdown has no end");
    },
  };
}

/** `start` has done it before, and failed if it could not. */
function listen(sys: Sys): Fd {
  const fd = must(sys.unixBind(socketPath), `bind ${socketPath}`);
  must(sys.listen(fd, 16), `listen at ${socketPath}`);
  return fd;
}
