// What the simulated machine answers to the calls about processes, sockets and terminals.

import { EAGAIN, EBADF, ECHILD, ECONNREFUSED, EEXIST, EINVAL, ENOENT, ESRCH } from "../src/sys/errno.ts";
import type { Errno, Fd, Pid, SpawnRequest, Sys } from "../src/sys/sys.d.ts";
import { Description } from "./files.ts";
import type { Kernel } from "./kernel.ts";

/** Spawning, waiting and signals. */
export function processCalls(kernel: Kernel): Partial<Sys> {
  const { processes } = kernel;
  return {
    environ: [],
    getpid: () => processes.self,
    getuid: () => 0,
    spawn: (request) => spawn(kernel, request),
    peekAny: () => processes.peekAny(),
    peekPid: (pid) => processes.peek(pid),
    reap: (pid) => {
      const exit = processes.reap(pid);
      if (exit === undefined || exit === ECHILD)
        kernel.options.broken(`process ${pid} is reaped and is no zombie of ours`);
      return exit;
    },
    kill: (pid, signal) => {
      const target = processes.all.get(pid as Pid);
      if (pid > 0 && target?.parent !== processes.self) {
        kernel.options.broken(`signal ${signal} is sent to ${target?.what ?? `pid ${pid}`}, which is no child of ours`);
      }
      const leader = processes.all.get(-pid as Pid);
      if (pid < -1 && leader?.parent !== processes.self)
        kernel.options.broken(`signal ${signal} is sent to group ${-pid}, whose leader is no child of ours any more`);
      if (pid === 0 || pid === -1 || pid === processes.self) return ESRCH;
      return processes.kill(pid, signal);
    },
    pidfdOpen: (pid) => {
      const process = processes.all.get(pid);
      if (process === undefined) return ESRCH;
      const description = new Description("pidfd", `pidfd of ${pid}`);
      description.process = process;
      return kernel.open(description);
    },
    pidfdSignal: (pidfd, signal) => {
      const process = kernel.find(pidfd)?.process;
      if (process === undefined) return EBADF;
      if (process.ended !== undefined) return ESRCH;
      processes.send(process, signal);
      return 0;
    },
  };
}

function spawn(kernel: Kernel, request: SpawnRequest): { pid: Pid; pidfd: Fd } | Errno {
  const { processes } = kernel;
  const born = processes.fork(processes.self, request.argv.join(" "));
  if (born === undefined) return EAGAIN;
  if (request.newGroup === true) born.group = born.pid;
  born.parentDeathSignal = request.parentDeathSignal !== undefined;
  for (const { target, source } of request.fds) {
    const description = kernel.find(source);
    if (description !== undefined) born.fds.set(target, description.share());
  }
  if (!kernel.options.exec(born, request)) {
    processes.abandon(born);
    return ENOENT;
  }
  return { pid: born.pid, pidfd: kernel.open(new Description("pidfd", `pidfd of ${born.pid}`)) };
}

/** The console socket, and the terminal that comes over it. */
export function socketCalls(kernel: Kernel): Partial<Sys> {
  return {
    unixBind: (path) => {
      if (kernel.files.get(path) !== undefined) return EEXIST;
      const listener = new Description("listener", path);
      kernel.files.put(path, { kind: "socket", listener });
      return kernel.open(listener);
    },
    listen: () => 0,
    unixConnect: (path) => {
      const node = kernel.files.get(path);
      if (node?.kind !== "socket") return ENOENT;
      return node.listener.isOpen ? kernel.open(new Description("connection", `connection to ${path}`)) : ECONNREFUSED;
    },
    accept: (fd) => {
      const client = kernel.find(fd)?.inbox.shift();
      if (client === undefined) return EAGAIN;
      const accepted = kernel.open(client);
      client.release();
      return accepted;
    },
    peerCredentials: () => ({ pid: 2 as Pid, uid: 0, gid: 0 }),
    receiveFds: (fd) => {
      const connection = kernel.find(fd);
      if (connection === undefined) return EBADF;
      if (connection.inbox.length === 0) return connection.pending ? { bytes: 0, fds: [] } : EAGAIN;
      const fds = connection.inbox.splice(0).map((sent) => {
        const received = kernel.open(sent);
        sent.release();
        return received;
      });
      return { bytes: 1, fds };
    },
    isTty: (fd) => kernel.find(fd)?.kind === "tty",
    ttySize: (fd) => (kernel.find(fd)?.kind === "tty" ? { rows: 24, columns: 80 } : EINVAL),
    ttySetSize: (fd) => (kernel.find(fd)?.kind === "tty" ? 0 : EINVAL),
  };
}
