// The server: services by name, the connections they are offered on, and an orderly end. What happens on one connection
// is in server-connection.ts.

import { Budget } from "./budget.ts";
import type { Handler } from "./call.ts";
import { defaultLimits, type Limits } from "./limits.ts";
import { type PendingCall, ServerConnection } from "./server-connection.ts";
import { type StatusError, statusOfThrown } from "./status.ts";
import type { Timers, Transport } from "./transport.ts";

export interface ServerOptions {
  readonly timers: Timers;
  /** A clock, milliseconds from any beginning, by which pending() tells ages. */
  readonly now?: () => number;
  /** A thrown thing that is no StatusError becomes this; Unknown with its message where absent. */
  readonly statusOf?: (thrown: unknown) => StatusError;
  /** 4 MiB, as the protocol says, where absent. */
  readonly maxMessageBytes?: number;
  /** Other limits of each connection; see limits.ts for what they are where absent. */
  readonly limits?: Partial<Limits>;
}

/** A connection as whoever accepted it sees it. */
export interface ServedConnection {
  /** Resolves when it is over, whoever ended it. Never rejects. */
  readonly closed: Promise<void>;
  /** Cancels what is under way and closes it, once what was answered is out. */
  close(): void;
}

export class Server {
  readonly timers: Timers;
  readonly now: () => number;
  readonly limits: Limits;
  readonly statusOf: (thrown: unknown) => StatusError;
  /** Shared by all connections. */
  readonly budget: Budget;
  readonly #services = new Map<string, Map<string, Handler>>();
  readonly #connections = new Set<ServerConnection>();
  #isLeaving = false;

  constructor(options: ServerOptions) {
    this.timers = options.timers;
    this.now = options.now ?? (() => 0);
    this.statusOf = options.statusOf ?? statusOfThrown;
    this.limits = { ...defaultLimits, ...options.limits };
    if (options.maxMessageBytes !== undefined) {
      this.limits = { ...this.limits, maxMessageBytes: options.maxMessageBytes };
    }
    this.budget = new Budget(this.limits.maxServerBytes);
  }

  /** Offers methods of a service; to be called before the first accept(). @throws Error for a method offered twice. */
  add(service: string, methods: Readonly<Record<string, Handler>>): void {
    const known = this.#services.get(service) ?? new Map<string, Handler>();
    for (const name of Object.keys(methods)) {
      const handler = methods[name];
      if (known.has(name)) throw new Error(`${service}/${name} is there already`);
      if (handler !== undefined) known.set(name, handler);
    }
    this.#services.set(service, known);
  }

  /** Serves one connection. `peer` is what its handlers find in their context. After shutdown() it is closed at once. */
  accept(transport: Transport, peer?: unknown): ServedConnection {
    const connection = new ServerConnection(this, transport, peer);
    this.#connections.add(connection);
    void connection.closed.then(() => this.#connections.delete(connection));
    connection.start();
    if (this.#isLeaving) connection.leave();
    return connection;
  }

  /**
   * No more connections or requests: those that come are refused with Unavailable. Resolves when the requests under way
   * are answered, the answers flushed and the connections closed; what is not by then is cut after graceMs.
   */
  async shutdown(graceMs: number): Promise<void> {
    this.#isLeaving = true;
    const connections = [...this.#connections];
    if (connections.length === 0) return;
    const timer = this.timers.start(graceMs, () => connections.forEach((connection) => connection.cut()));
    for (const connection of connections) connection.leave();
    await Promise.all(connections.map((connection) => connection.closed));
    this.timers.stop(timer);
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Calls whose handlers have not ended. */
  get calls(): number {
    let sum = 0;
    for (const connection of this.#connections) sum += connection.runningCalls;
    return sum;
  }

  /** Those of them that are not answered. */
  pending(): PendingCall[] {
    return [...this.#connections].flatMap((connection) => connection.pending());
  }

  /** undefined: no such service. */
  methods(service: string): ReadonlyMap<string, Handler> | undefined {
    return this.#services.get(service);
  }
}
