// What the parts of a serving shim share: the kernel, the log, the reaper, and the few facts that `start` has settled.

import type { Reaper } from "../reaper/reaper.ts";
import type { Log } from "../sys/log.ts";
import type { Fd, PeerCredentials, Sys } from "../sys/sys.d.ts";
import type { Keeping } from "./keeper.ts";

export interface ShimContext {
  readonly sys: Sys;
  readonly log: Log;
  readonly reaper: Reaper;
  readonly namespace: string;
  /** The shim's own environment, NAME=value. */
  readonly environ: readonly string[];
  readonly debug: boolean;
  /** "unix:///run/containerd/s/…", as the bundle's file `address` holds it. */
  readonly address: string;
  readonly events: EventStream;
  /** For what another image of the program must know after a crash. */
  readonly keeper: Keeping;
  /** Sockets that the starter passed on purpose (MOOR_LISTEN_FDS), for the first container. */
  readonly listenFds: readonly Fd[];
  /** Shutdown was asked for and no container is left: the process shall end once the answer is out. */
  leave(): void;
}

/** Who calls, by the kernel's word (SO_PEERCRED); undefined where nobody has asked it (tests). */
export type Peer = Pick<PeerCredentials, "pid" | "uid"> | undefined;

/** Where what happens is told to the daemon, in order. */
export interface EventStream {
  /**
   * @param topic "/tasks/exit".
   * @param type the full name of the message, "containerd.events.TaskExit".
   * @param message the encoded message.
   */
  publish(topic: string, type: string, message: Uint8Array): void;
}
