// A server to test against: an echo, a method that waits until the test ends it, and methods that fail in several ways.

import assert from "node:assert/strict";
import type { CallContext } from "./call.ts";
import { raw } from "./codec.ts";
import { FakeTimers } from "./fake-timers.fixture.ts";
import { memoryPair, type PairOptions } from "./memory-transport.fixture.ts";
import { bytesOf, RawPeer } from "./raw-peer.fixture.ts";
import { Server, type ServerOptions } from "./server.ts";
import { codes, StatusError } from "./status.ts";
import { unary } from "./unary.ts";

/** A server with an echo and a method that waits until the test ends it. */
export class Scene {
  readonly timers = new FakeTimers();
  readonly server: Server;
  readonly waiting: { context: CallContext; end: (answer: Uint8Array) => void; fail: (thrown: unknown) => void }[] = [];

  constructor(options: Partial<ServerOptions> = {}) {
    this.server = new Server({ timers: this.timers, ...options });
    this.server.add("test", {
      echo: unary(raw, raw, (message) => message),
      wait: unary(raw, raw, (_message, context) => {
        return new Promise<Uint8Array>((end, fail) => this.waiting.push({ context, end, fail }));
      }),
      throws: unary(raw, raw, () => {
        throw new RangeError("no such luck");
      }),
      refuses: unary(raw, raw, () => {
        throw new StatusError(codes.notFound, "not here", [{ typeUrl: "t", value: bytesOf(1) }]);
      }),
      big: unary(raw, raw, ([mebibytes = 0]) => new Uint8Array(mebibytes << 20)),
      peer: unary(raw, raw, (_message, { peer }) => new TextEncoder().encode(String(peer))),
      metadata: unary(raw, raw, (_message, { metadata }) => {
        return new TextEncoder().encode(JSON.stringify([...metadata]));
      }),
      picky: unary({ encode: () => bytesOf(), decode: () => assert.fail("not a message") }, raw, () => bytesOf()),
    });
  }

  connect(peer?: unknown, options?: PairOptions): RawPeer {
    const [near, far] = memoryPair(options);
    this.server.accept(far, peer);
    return new RawPeer(near);
  }

  /** Until `count` calls of "wait" are under way. */
  async waitingFor(count: number): Promise<void> {
    while (this.waiting.length < count) await Promise.resolve();
  }
}

/** The connection still answers. */
export async function assertAlive(peer: RawPeer, id: number): Promise<void> {
  peer.request(id, "test", "echo", { payload: bytesOf(42) });
  assert.deepEqual(await peer.answer(), { id, code: codes.ok, text: "", payload: bytesOf(42) });
}
