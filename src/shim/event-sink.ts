// The way to the daemon's event service: a ttrpc connection to TTRPC_ADDRESS, and the stream that puts what happens into
// the daemon's envelope on its way to the publisher.

import { Client, raw } from "ttrpc";
import { ForwardRequest } from "../api/forward.ts";
import { keepFd } from "../io/stream.ts";
import { errnoName, isErrno } from "../sys/errno.ts";
import { MoorError } from "../sys/error.ts";
import type { Sys } from "../sys/sys.d.ts";
import { pathOfAddress } from "./address.ts";
import type { EventStream } from "./context.ts";
import { type Keeping, keepsNothing } from "./keeper.ts";
import type { KeptSink } from "./kept-records.ts";
import type { EventSink, Publisher } from "./publisher.ts";
import { SocketTransport, timersOf } from "./socket-transport.ts";
import { wireTime } from "./time.ts";

const service = "containerd.services.events.ttrpc.v1.Events";

/**
 * Connects to the daemon.
 * @param address "unix:///path" or a bare path.
 * @throws MoorError unavailable when nobody listens there; invalid_argument for another kind of address.
 */
export function connectEventSink(
  sys: Sys,
  address: string,
  buffer: Uint8Array,
  keeper: Keeping = keepsNothing,
): EventSink {
  const path = pathOfAddress(address);
  if (path === undefined) {
    throw new MoorError("invalid_argument", `the address for events ${JSON.stringify(address)} is no unix socket`);
  }
  const fd = sys.unixConnect(path);
  if (isErrno(fd)) {
    throw new MoorError("unavailable", `connect to the daemon's ${path}: ${errnoName(fd)}`, { errno: fd });
  }
  const transport = new SocketTransport(sys, fd, buffer, undefined, () => keeper.flush());
  const client = new Client(transport, { timers: timersOf(sys) });
  const kept = keepFd(sys, fd);
  let sending = false;
  // The answer to an event that is under way in a crash is still read afterwards: else the daemon would get it twice.
  const part = keeper.part((): KeptSink => ({ kind: "sink", fd: kept, sending }));
  const say = (isSending: boolean): void => {
    sending = isSending;
    part.touch();
  };
  return {
    async forward(request, timeoutMs) {
      say(true);
      try {
        await client.call(service, "Forward", raw, raw, request, { timeoutMs });
      } finally {
        say(false);
      }
    },
    close: () => {
      part.remove();
      client.close();
    },
  };
}

/**
 * How long after it came back a daemon's events reach those who were subscribed before. Docker connects again after up to
 * 3 s and a fifth, and an exit that was told before that it does not learn of any more.
 */
const readersReturnWithinMs = 4_000;

/** How long the daemon at `address` has to be up yet until those are back who read its events; 0 when it is not there. */
export function awaitsReadersMs(sys: Sys, address: string): number {
  const socket = sys.stat(pathOfAddress(address) ?? "");
  if (isErrno(socket)) return 0;
  // It makes the socket when it starts.
  const ageMs = Number(sys.realtimeNs() / 1_000_000n) - socket.mtimeMs;
  // A clock that was set back says nothing.
  return ageMs < 0 ? 0 : Math.max(0, Math.ceil(readersReturnWithinMs - ageMs));
}

/** The stream that tasks publish into: each event gets its time and namespace now, and its place in the queue. */
export function eventStream(sys: Sys, publisher: Publisher, namespace: string): EventStream {
  return {
    publish(topic, type, message) {
      const timestamp = wireTime(sys.realtimeNs());
      const envelope = { timestamp, namespace, topic, event: { typeUrl: type, value: message } };
      publisher.publish(ForwardRequest.encode({ envelope }).finish());
    },
  };
}
