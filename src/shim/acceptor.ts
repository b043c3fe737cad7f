// Takes the connections that come in at a listening socket, as long as there are fds for them. It never goes deaf: when
// the process has none left it rests and comes back, and for that it needs nothing that could be refused then.

import { EAGAIN, ECONNABORTED, EINTR, errnoName, isErrno } from "../sys/errno.ts";
import { must } from "../sys/error.ts";
import { POLLIN } from "../sys/flags.ts";
import type { Log } from "../sys/log.ts";
import type { Errno, Fd, Sys, TimerId } from "../sys/sys.d.ts";

/** When the process has no fd left for a connection: the others go on, and may give one back. */
const pauseMs = 100;

export class Acceptor {
  readonly #sys: Sys;
  readonly #log: Log;
  readonly #listenFd: Fd;
  readonly #take: (fd: Fd) => void;
  #accepting = false;
  #rest: TimerId | undefined;
  /** Told of already. */
  #failure: Errno | undefined;

  /** @param take is given each connection's fd, which is its own from then on. */
  constructor({ sys, log }: { sys: Sys; log: Log }, listenFd: Fd, take: (fd: Fd) => void) {
    this.#sys = sys;
    this.#log = log;
    this.#listenFd = listenFd;
    this.#take = take;
  }

  /** @throws MoorError when the socket cannot be watched. */
  begin(): void {
    const status = this.#sys.pollStart(this.#listenFd, POLLIN, () => this.#acceptAll());
    must(status, "watch for connections");
    this.#accepting = true;
  }

  /** No more are taken; the socket is the caller's. Any number of times. */
  stop(): void {
    if (!this.#accepting) return;
    this.#accepting = false;
    if (this.#rest !== undefined) this.#sys.timerStop(this.#rest);
    this.#sys.pollStop(this.#listenFd);
  }

  #acceptAll(): void {
    while (this.#accepting) {
      const fd = this.#sys.accept(this.#listenFd);
      if (fd === EAGAIN) return;
      // The client has gone again.
      if (fd === EINTR || fd === ECONNABORTED) continue;
      if (isErrno(fd)) return this.#restFromAccepting(fd);
      this.#failure = undefined;
      this.#take(fd);
    }
  }

  /**
   * A client that waits keeps the listening socket readable: without the rest, the loop would spin until there is an fd. The
   * watch stays and is silenced: a new one might be refused, and then nobody would be heard any more.
   */
  #restFromAccepting(error: Errno): void {
    // Once, and not ten times a second for as long as it lasts.
    if (this.#failure !== error) this.#log.error("connections cannot be taken", { error: errnoName(error) });
    this.#failure = error;
    this.#sys.pollChange(this.#listenFd, 0);
    this.#rest = this.#sys.timerStart(pauseMs, () => {
      this.#rest = undefined;
      this.#sys.pollChange(this.#listenFd, POLLIN);
    });
  }
}
