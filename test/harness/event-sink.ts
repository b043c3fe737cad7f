// What stands at TTRPC_ADDRESS when no daemon runs: takes the events a shim forwards, records them, and can be away,
// come back, or refuse.

import { rmSync } from "node:fs";
import { ForwardRequest } from "../../src/api/forward.ts";
import type { Envelope } from "../../src/api/types.ts";
import { decodeEvent, type SeenEvent } from "./event-log.ts";
import { RawServer, StatusError } from "./raw-ttrpc.ts";
import { until } from "./until.ts";

const SERVICE = "containerd.services.events.ttrpc.v1.Events";

export class EventSink {
  readonly path: string;
  readonly events: SeenEvent[] = [];
  readonly envelopes: Envelope[] = [];
  /** Called before an event is recorded; what it throws is the answer. */
  onForward: (event: SeenEvent) => void | Promise<void> = () => undefined;
  #server: RawServer | undefined;

  constructor(path: string) {
    this.path = path;
  }

  async open(): Promise<void> {
    rmSync(this.path, { force: true });
    this.#server = await RawServer.listen(this.path, async (service, method, payload) => {
      if (service !== SERVICE || method !== "Forward") throw new StatusError(12, `no ${service}/${method} here`);
      const { envelope } = ForwardRequest.decode(payload);
      if (envelope === undefined) throw new StatusError(3, "no envelope");
      const event = decodeEvent(envelope);
      await this.onForward(event);
      this.envelopes.push(envelope);
      this.events.push(event);
      return new Uint8Array();
    });
  }

  /** Goes away as a daemon that dies: connections are cut, the socket file stays. */
  async close(): Promise<void> {
    await this.#server?.close();
    this.#server = undefined;
  }

  get isOpen(): boolean {
    return this.#server !== undefined;
  }

  topics(): string[] {
    return this.events.map((event) => event.topic.replace("/tasks/", ""));
  }

  async untilCount(count: number, deadlineMs = 10_000): Promise<void> {
    await until(
      `${count} events`,
      deadlineMs,
      () => this.events.length >= count,
      () => JSON.stringify(this.topics()),
    );
  }
}
