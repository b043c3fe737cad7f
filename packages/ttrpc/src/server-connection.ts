// One connection of a server: takes frames in, finds the handler, keeps the calls that are open, and answers each bad
// frame on its own stream, so that the connection outlives it. Never waits for its peer.

import { Share } from "./budget.ts";
import { Call, type CallOwner, type Handler } from "./call.ts";
import { copyOf, frameFlags, frameTypes } from "./frame.ts";
import { callOverheadBytes, type Limits } from "./limits.ts";
import { Link, type LinkOwner } from "./link.ts";
import { decodeRequest, type Request, statusFrame } from "./messages.ts";
import { codes, StatusError, statusOfThrown, tooLong } from "./status.ts";
import type { Server } from "./server.ts";
import { Deadline, type Timers, type Transport } from "./transport.ts";

const nsPerMs = 1e6;

/** A call that is under way, for those who look into a server. */
export interface PendingCall {
  readonly method: string;
  /** 0 where the server has no clock. */
  readonly ageMs: number;
  /** What accept() was given with the connection. */
  readonly peer: unknown;
}

export class ServerConnection implements CallOwner, LinkOwner {
  readonly peer: unknown;
  readonly closed: Promise<void>;
  readonly limits: Limits;
  readonly timers: Timers;
  readonly share: Share;
  /** Handlers that have not ended, whether or not their calls are answered. */
  runningCalls = 0;
  readonly #server: Server;
  readonly #link: Link;
  /** Calls that are not answered. */
  readonly #open = new Map<number, Call>();
  #lastId = 0;
  #runningBytes = 0;
  #isLeaving = false;
  #settleClosed: () => void = () => undefined;

  constructor(server: Server, transport: Transport, peer: unknown) {
    this.#server = server;
    this.peer = peer;
    this.limits = server.limits;
    this.timers = server.timers;
    this.share = new Share(server.budget);
    this.#link = new Link(transport, server.limits, this, true);
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
  }

  start(): void {
    this.#link.start();
  }

  now(): number {
    return this.#server.now();
  }

  /** The calls that are not answered, the oldest first. */
  pending(): PendingCall[] {
    const { peer } = this;
    return [...this.#open.values()].map(({ method, sinceMs }) => ({ method, ageMs: this.now() - sinceMs, peer }));
  }

  close(): void {
    this.#dropAll();
    this.#link.close();
  }

  /** Takes no more requests, and closes when those under way are answered. */
  leave(): void {
    this.#isLeaving = true;
    if (this.#open.size === 0) this.#link.close();
  }

  cut(): void {
    this.#link.destroy();
  }

  frame(id: number, type: number, flags: number, bytes: Uint8Array, start: number, end: number, owned: boolean): void {
    // Even ids are kept for streams that a server begins, which the protocol does not have yet.
    if ((id & 1) === 0) this.#refuse(id, codes.invalidArgument, `stream id ${id} is even: a client's are odd`);
    else if (type === frameTypes.request) this.#request(id, flags, bytes, start, end, owned);
    else if (type === frameTypes.data) this.#data(id, flags, bytes, start, end, owned);
    else if (type === frameTypes.cancel) this.#open.get(id)?.drop();
    // Any other type may come to mean something one day, and is no fault today.
  }

  oversized(id: number, _type: number, length: number): void {
    this.#refuseFrame(id, tooLong(length, this.limits.maxMessageBytes));
  }

  noRoom(id: number, _type: number, length: number): void {
    const text = `there is no room for a message of ${length} bytes now`;
    this.#refuseFrame(id, new StatusError(codes.resourceExhausted, text));
  }

  #refuseFrame(id: number, status: StatusError): void {
    const call = this.#open.get(id);
    if (call === undefined) this.sendStatus(statusFrame(id, status));
    else call.abandon(status);
  }

  ended(): void {
    this.#dropAll();
    this.#settleClosed();
  }

  statusOf(thrown: unknown): StatusError {
    if (thrown instanceof StatusError) return thrown;
    try {
      return this.#server.statusOf(thrown);
    } catch (another) {
      return statusOfThrown(another);
    }
  }

  send(frame: Uint8Array): StatusError | undefined {
    if (this.#link.wouldOverflow(frame.length)) {
      const { backlogBytes } = this.#link;
      return new StatusError(codes.resourceExhausted, `the client has left ${backlogBytes} bytes of answers unread`);
    }
    this.#link.send(frame);
    return undefined;
  }

  sendStatus(frame: Uint8Array): void {
    this.#link.send(frame);
  }

  write(frame: Uint8Array): boolean {
    return this.#link.send(frame);
  }

  enqueue(write: () => void): void {
    this.#link.enqueue(write);
  }

  hold(): void {
    this.#link.hold();
  }

  unhold(): void {
    this.#link.unhold();
  }

  answered(call: Call): void {
    this.#open.delete(call.id);
    if (this.#isLeaving && this.#open.size === 0) this.#link.close();
  }

  settled(call: Call): void {
    this.runningCalls--;
    this.#runningBytes -= call.requestBytes;
    this.share.give(call.requestBytes + callOverheadBytes);
  }

  #request(id: number, flags: number, bytes: Uint8Array, start: number, end: number, owned: boolean): void {
    if (id <= this.#lastId) {
      this.#refuse(id, codes.invalidArgument, `stream id ${id} has been used: ids only go up`);
      return;
    }
    this.#lastId = id;
    let request: Request;
    try {
      request = decodeRequest(bytes, start, end, owned);
    } catch (thrown) {
      const text = thrown instanceof Error ? thrown.message : String(thrown);
      this.#refuse(id, codes.invalidArgument, `the request cannot be decoded: ${text}`);
      return;
    }
    const handler = this.#find(id, request, end - start);
    if (handler === undefined) return;
    const { timeoutNs } = request;
    const timeoutMs = Math.ceil(timeoutNs / nsPerMs);
    if (timeoutNs < 0) {
      this.#refuse(id, codes.deadlineExceeded, "the deadline had passed when the request came");
      return;
    }
    if (!this.share.take(end - start + callOverheadBytes)) {
      this.#refuse(id, codes.resourceExhausted, `the requests under way hold all the room there is for them`);
      return;
    }
    const call = new Call(this, id, request, timeoutMs, end - start);
    this.#open.set(id, call);
    this.runningCalls++;
    this.#runningBytes += call.requestBytes;
    if (timeoutMs > 0) {
      call.deadline = new Deadline(this.timers, timeoutMs, () => {
        call.abandon(new StatusError(codes.deadlineExceeded, `no answer within ${timeoutMs} ms`));
      });
    }
    handler.start(call, request.payload, flags);
  }

  /** The handler of a request that may run, or undefined when it has been refused. */
  #find(id: number, request: Request, bytes: number): Handler | undefined {
    const { service, method } = request;
    const { maxCalls, maxRequestBytes } = this.limits;
    const methods = this.#server.methods(service);
    const handler = methods?.get(method);
    if (this.#isLeaving) this.#refuse(id, codes.unavailable, "the server is shutting down");
    else if (methods === undefined) this.#refuse(id, codes.unimplemented, `service ${shown(service)}`);
    else if (handler === undefined)
      this.#refuse(id, codes.unimplemented, `method ${shown(method)} of ${shown(service)}`);
    else if (this.runningCalls >= maxCalls) {
      this.#refuse(id, codes.resourceExhausted, `${maxCalls} requests are under way on this connection`);
    } else if (this.#runningBytes > 0 && this.#runningBytes + bytes > maxRequestBytes) {
      this.#refuse(id, codes.resourceExhausted, `the requests under way hold ${this.#runningBytes} bytes`);
    } else return handler;
    return undefined;
  }

  #data(id: number, flags: number, bytes: Uint8Array, start: number, end: number, owned: boolean): void {
    const call = this.#open.get(id);
    if (call === undefined) {
      this.#refuse(id, codes.invalidArgument, `stream ${id} is not active`);
      return;
    }
    const { input } = call;
    if (input === undefined || input.ended) {
      const text = input === undefined ? "takes one message" : "was closed by its sender before";
      call.abandon(new StatusError(codes.invalidArgument, `data on stream ${id}, which ${text}`));
      return;
    }
    try {
      if ((flags & frameFlags.noData) === 0) {
        input.data(owned && start === 0 ? bytes : copyOf(bytes, start, end));
      }
      if ((flags & frameFlags.remoteClosed) === 0) return;
      input.end();
      // So does Go's server, though its client takes the like from a server.
      if (end > start) call.abandon(new StatusError(codes.invalidArgument, "a frame that closes a stream holds data"));
    } catch (thrown) {
      call.abandon(this.statusOf(thrown));
    }
  }

  #refuse(id: number, code: number, text: string): void {
    this.sendStatus(statusFrame(id, new StatusError(code, text)));
  }

  #dropAll(): void {
    for (const call of [...this.#open.values()]) call.drop();
  }
}

/** A name out of a request, for an error: one line and not long, whatever was sent. */
function shown(name: string): string {
  if (/^[\w./-]{1,200}$/.test(name)) return name;
  return JSON.stringify(name.length <= 200 ? name : `${name.slice(0, 40)}...`);
}
