// The package on Node: node:net sockets as transports, Node's timers, and the two things everyone does with them, to
// connect to a socket's path and to listen on one.

import { createConnection, createServer, type Socket, type Server as NetServer } from "node:net";
import { Client, type ClientOptions } from "./client.ts";
import type { Server } from "./server.ts";
import type { Timers, Transport } from "./transport.ts";

/** Node's timers. They keep the process alive, as a call under way shall. */
export const nodeTimers: Timers = {
  start: (ms, fn) => setTimeout(fn, ms),
  stop: (timer) => clearTimeout(timer as NodeJS.Timeout | undefined),
};

/** A socket, connected, as a transport. The socket belongs to the transport from here on. */
export function nodeTransport(socket: Socket): Transport {
  return {
    start(events) {
      let fault: Error | undefined;
      socket.on("data", (chunk: Buffer) => {
        events.data(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length));
      });
      socket.on("drain", () => events.drained());
      socket.on("error", (error) => {
        fault = error;
      });
      socket.once("close", () => events.closed(fault));
      // It may have ended before it came here, and will not say so again.
      if (socket.destroyed) process.nextTick(() => events.closed(socket.errored ?? undefined));
    },
    write: (bytes) => socket.write(bytes),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    close: () => socket.destroySoon(),
    destroy: () => void socket.destroy(),
  };
}

export type ConnectOptions = Omit<ClientOptions, "timers"> & { readonly timers?: Timers };

/** A client on the unix socket at `path`. @throws Node's error (with `code`: ENOENT, ECONNREFUSED) if nobody listens. */
export function connect(path: string, options: ConnectOptions = {}): Promise<Client> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.removeListener("error", reject);
      resolve(new Client(nodeTransport(socket), { timers: nodeTimers, ...options }));
    });
  });
}

export interface Listener {
  readonly server: NetServer;
  /** No more connections; those that are open go on until they or the Server end. Resolves when the socket is closed. */
  close(): Promise<void>;
}

/** Serves every connection to the unix socket at `path`; the peer of each is its socket. @throws Node's error. */
export function listen(server: Server, path: string): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const net = createServer((socket) => void server.accept(nodeTransport(socket), socket));
    net.once("error", reject);
    net.listen(path, () => {
      net.removeListener("error", reject);
      resolve({
        server: net,
        close: () => new Promise((closed) => net.close(() => closed())),
      });
    });
  });
}
