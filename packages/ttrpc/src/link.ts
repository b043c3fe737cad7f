// What client and server have in common about one connection: frames in, frames out, how much the peer has left untaken,
// and the reasons for which reading rests.

import type { Share } from "./budget.ts";
import { FrameDecoder, type FrameSink } from "./frame.ts";
import { type Limits, messageOverheadBytes } from "./limits.ts";
import type { Transport } from "./transport.ts";

/** The end of a connection that owns a link. */
export interface LinkOwner {
  frame: FrameSink["frame"];
  oversized: FrameSink["oversized"];
  noRoom: FrameSink["noRoom"];
  /** What the connection holds for its peer is counted; undefined: nobody counts. */
  readonly share: Share | undefined;
  /** The connection is over. Comes once, and last. */
  ended(error: Error | undefined): void;
}

export class Link implements FrameSink {
  readonly limits: Limits;
  /** What was written and not taken by the peer; 0 while the transport takes more. */
  backlogBytes = 0;
  isClosed = false;
  /** Whether a long backlog makes reading rest: a server's reading does, a client's never (PROTOCOL.md, Limits). */
  readonly #restsOnBacklog: boolean;
  readonly #owner: LinkOwner;
  readonly #transport: Transport;
  readonly #decoder: FrameDecoder;
  #holders = 0;
  #isPaused = false;
  #isLeaving = false;
  #fault: Error | undefined;
  /** What waits for the peer. */
  #writes: (() => void)[] = [];

  constructor(transport: Transport, limits: Limits, owner: LinkOwner, restsOnBacklog: boolean) {
    this.limits = limits;
    this.#restsOnBacklog = restsOnBacklog;
    this.#owner = owner;
    this.#transport = transport;
    this.#decoder = new FrameDecoder(this, limits.maxMessageBytes);
  }

  start(): void {
    this.#transport.start({
      data: (bytes) => {
        if (!this.#isLeaving && !this.#decoder.feed(bytes)) this.#garbage();
        this.#rest();
      },
      drained: () => this.#drained(),
      closed: (error) => {
        if (this.isClosed) return;
        this.isClosed = true;
        this.#isLeaving = true;
        this.#decoder.giveUp();
        this.#taken();
        // First the end, so that what waits to be written finds its call over.
        this.#owner.ended(this.#fault ?? error);
        this.#flush();
      },
    });
  }

  /** Queues a whole frame. false: the transport has enough for now. */
  send(frame: Uint8Array): boolean {
    if (this.#isLeaving) return true;
    if (this.#transport.write(frame)) return true;
    const bytes = frame.length + messageOverheadBytes;
    this.backlogBytes += bytes;
    this.#owner.share?.hold(bytes);
    return false;
  }

  /** Whether a frame of this many bytes would be too much on top of what the peer has not taken. */
  wouldOverflow(bytes: number): boolean {
    if (this.backlogBytes === 0) return false;
    return this.backlogBytes + bytes > this.limits.maxBacklogBytes || this.#owner.share?.fits(bytes) === false;
  }

  /**
   * Calls `write` when the transport takes more: at once if it does, else in the order in which they were given. On a
   * connection that is being closed that is when it is over: a handler that sends for ever shall not spin until then.
   */
  enqueue(write: () => void): void {
    if (this.isClosed || (!this.#isLeaving && this.backlogBytes === 0 && this.#writes.length === 0)) write();
    else this.#writes.push(write);
  }

  get held(): boolean {
    return this.#holders > 0 || (this.#restsOnBacklog && this.backlogBytes > this.limits.pauseBytes) || this.#isLeaving;
  }

  /** A reason to rest more; each is to be taken back by unhold(). */
  hold(): void {
    this.#holders++;
    this.#rest();
  }

  unhold(): void {
    this.#holders--;
    this.#goOn();
  }

  frame(id: number, type: number, flags: number, bytes: Uint8Array, start: number, end: number, owned: boolean): void {
    this.#owner.frame(id, type, flags, bytes, start, end, owned);
  }

  oversized(id: number, type: number, length: number): void {
    this.#owner.oversized(id, type, length);
  }

  noRoom(id: number, type: number, length: number): void {
    this.#owner.noRoom(id, type, length);
  }

  reserve(bytes: number): boolean {
    return this.#owner.share?.take(bytes) !== false;
  }

  release(bytes: number): void {
    this.#owner.share?.give(bytes);
  }

  /** Reads nothing more, and closes once what was queued is out. */
  close(): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    this.#transport.close();
  }

  destroy(error?: Error): void {
    if (this.isClosed) return;
    this.#isLeaving = true;
    this.#fault ??= error;
    this.#transport.destroy();
  }

  #garbage(): void {
    this.destroy(new Error("the peer does not speak ttrpc"));
  }

  /** Nothing waits for the peer. */
  #taken(): void {
    this.#owner.share?.give(this.backlogBytes);
    this.backlogBytes = 0;
  }

  #drained(): void {
    this.#taken();
    this.#flush();
    this.#goOn();
  }

  #flush(): void {
    while (this.isClosed || (this.backlogBytes === 0 && !this.#isLeaving)) {
      const write = this.#writes.shift();
      if (write === undefined) return;
      write();
    }
  }

  #rest(): void {
    if (this.#isPaused || this.#isLeaving || !this.held) return;
    this.#isPaused = true;
    this.#transport.pause();
  }

  #goOn(): void {
    if (!this.#isPaused || this.held) return;
    if (!this.#decoder.resume()) this.#garbage();
    if (this.held) return;
    this.#isPaused = false;
    this.#transport.resume();
  }
}
