// The socket over which the runtime sends the master of a terminal it has made. It stands in the bundle, open to its owner
// alone, from before the runtime call until the master is here, and not a moment longer.

import { withDeadline } from "../reaper/deadline.ts";
import { EAGAIN, isErrno } from "../sys/errno.ts";
import { MoorError, must } from "../sys/error.ts";
import { O_DIRECTORY, O_PATH, POLLIN } from "../sys/flags.ts";
import type { Fd, Sys } from "../sys/sys.d.ts";

/** sun_path without its closing zero. */
const maxSocketPathBytes = 107;
/** runc sends the terminal's name with the fd. */
const messageBytes = 4096;
const maxFds = 4;

export class ConsoleSocket {
  /** For the runtime's command line. */
  readonly path: string;
  readonly #sys: Sys;
  readonly #file: string;
  /** The bundle, when the socket is reached through it; the runtime follows the path as long as the fd is open. */
  #folderFd: Fd | undefined;
  #listenFd: Fd | undefined;
  readonly #connections = new Set<Fd>();
  readonly #received: (master: Fd) => void;
  #master: Fd | undefined;
  #waiting: { readonly resolve: (master: Fd) => void; readonly reject: (thrown: MoorError) => void } | undefined;

  /**
   * Binds and listens.
   * @param received called from the loop as soon as the master is here; it is still this object's until it is taken.
   * @throws MoorError; nothing is left then.
   */
  constructor(sys: Sys, bundle: string, received: (master: Fd) => void) {
    this.#sys = sys;
    this.#received = received;
    const name = `pty-${Array.from(sys.randomBytes(6), (byte) => byte.toString(16).padStart(2, "0")).join("")}.sock`;
    this.#file = `${bundle}/${name}`;
    this.path = this.#file;
    try {
      if (sys.encodeUtf8(this.path).length > maxSocketPathBytes) {
        this.#folderFd = must(sys.open(bundle, O_PATH | O_DIRECTORY, 0), `open ${bundle}`);
        this.path = `/proc/${sys.getpid()}/fd/${this.#folderFd}/${name}`;
      }
      const what = `console socket ${this.#file}`;
      const listenFd = must(sys.unixBind(this.path), what);
      this.#listenFd = listenFd;
      must(sys.listen(listenFd, 1), what);
      must(
        sys.pollStart(listenFd, POLLIN, () => this.#accept(listenFd)),
        what,
      );
    } catch (thrown) {
      this.close();
      throw thrown;
    }
  }

  /**
   * The master, which is the caller's from now on. Once.
   * @throws MoorError deadline_exceeded, the socket is to be closed then; canceled when it is closed meanwhile.
   */
  async takeMaster(boundMs: number): Promise<Fd> {
    const here = new Promise<Fd>((resolve, reject) => {
      if (this.#master === undefined) this.#waiting = { resolve, reject };
      else resolve(this.#master);
    });
    try {
      const master = await withDeadline(this.#sys, boundMs, "the terminal from the runtime", here);
      // Closed within this very turn: then the fd is closed too.
      if (this.#master !== master) throw unwanted();
      this.#master = undefined;
      return master;
    } finally {
      this.#waiting = undefined;
    }
  }

  /** Removes the socket, and closes a master that nobody took. Any number of times. */
  close(): void {
    this.#stopListening();
    if (this.#master !== undefined) this.#sys.close(this.#master);
    this.#master = undefined;
    this.#waiting?.reject(unwanted());
  }

  #accept(listenFd: Fd): void {
    const fd = this.#sys.accept(listenFd);
    if (isErrno(fd)) return;
    const peer = this.#sys.peerCredentials(fd);
    const trusted = !isErrno(peer) && (peer.uid === 0 || peer.uid === this.#sys.getuid());
    if (!trusted || isErrno(this.#sys.pollStart(fd, POLLIN, () => this.#receive(fd)))) {
      this.#sys.close(fd);
      return;
    }
    this.#connections.add(fd);
  }

  #receive(fd: Fd): void {
    const message = this.#sys.receiveFds(fd, new Uint8Array(messageBytes), maxFds);
    if (message === EAGAIN) return;
    this.#hangUp(fd);
    if (isErrno(message)) return;
    let master: Fd | undefined;
    for (const each of message.fds) {
      if (master === undefined && this.#sys.isTty(each)) master = each;
      else this.#sys.close(each);
    }
    if (master === undefined) return;
    // It was the only one to come.
    this.#stopListening();
    this.#master = master;
    this.#received(master);
    this.#waiting?.resolve(master);
  }

  #hangUp(fd: Fd): void {
    this.#sys.pollStop(fd);
    this.#sys.close(fd);
    this.#connections.delete(fd);
  }

  #stopListening(): void {
    for (const fd of [...this.#connections]) this.#hangUp(fd);
    if (this.#listenFd !== undefined) {
      this.#sys.pollStop(this.#listenFd);
      this.#sys.close(this.#listenFd);
      // A leftover goes with the bundle.
      this.#sys.unlink(this.#file);
    }
    this.#listenFd = undefined;
    if (this.#folderFd !== undefined) this.#sys.close(this.#folderFd);
    this.#folderFd = undefined;
  }
}

function unwanted(): MoorError {
  return new MoorError("canceled", "the terminal from the runtime is no longer wanted");
}
