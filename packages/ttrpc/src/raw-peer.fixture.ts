// One end of a connection that sends whatever bytes a test likes and keeps the frames that come, so that tests can speak
// to a server as a faulty client does, and to a client as a faulty server does.

import { encodeFrame, FrameDecoder, frameTypes } from "./frame.ts";
import { decodeRequest, decodeResponse, type Request, requestFrame } from "./messages.ts";
import type { MemoryTransport } from "./memory-transport.fixture.ts";

export interface RawFrame {
  readonly id: number;
  readonly type: number;
  readonly flags: number;
  readonly payload: Uint8Array;
}

export class RawPeer {
  readonly transport: MemoryTransport;
  readonly frames: RawFrame[] = [];
  readonly closed: Promise<void>;
  isClosed = false;
  #changed: (() => void)[] = [];

  constructor(transport: MemoryTransport) {
    this.transport = transport;
    const decoder = new FrameDecoder(
      {
        held: false,
        frame: (id, type, flags, bytes, start, end) => {
          this.frames.push({ id, type, flags, payload: bytes.slice(start, end) });
        },
        oversized: () => undefined,
        noRoom: () => undefined,
        reserve: () => true,
        release: () => undefined,
      },
      1 << 24,
    );
    this.closed = new Promise((resolve) => {
      transport.start({
        data: (bytes) => {
          decoder.feed(bytes);
          this.#tell();
        },
        drained: () => this.#tell(),
        closed: () => {
          this.isClosed = true;
          this.#tell();
          resolve();
        },
      });
    });
  }

  send(bytes: Uint8Array): void {
    this.transport.write(bytes);
  }

  frame(id: number, type: number, flags = 0, payload?: Uint8Array): void {
    this.send(encodeFrame(id, type, flags, payload));
  }

  request(id: number, service: string, method: string, more: Partial<Request> & { flags?: number } = {}): void {
    const { flags = 0, ...rest } = more;
    this.send(
      requestFrame(id, flags, { service, method, payload: undefined, timeoutNs: 0, metadata: undefined, ...rest }),
    );
  }

  /** The next frame, which is taken from `frames`. */
  async next(): Promise<RawFrame> {
    for (;;) {
      const frame = this.frames.shift();
      if (frame !== undefined) return frame;
      if (this.isClosed) throw new Error("the connection is closed");
      await new Promise<void>((resolve) => this.#changed.push(resolve));
    }
  }

  /** The next frame, which is a response: its stream, status code (0: OK), message and payload. */
  async answer(): Promise<{ id: number; code: number; text: string; payload: Uint8Array | undefined }> {
    const { id, type, payload } = await this.next();
    if (type !== frameTypes.response) throw new Error(`a frame of type ${type} came`);
    const response = decodeResponse(payload, 0, payload.length, true);
    return {
      id,
      code: response.status?.code ?? 0,
      text: response.status?.message ?? "",
      payload: response.payload,
    };
  }

  /** The next frame, which is a request. */
  async asked(): Promise<{ id: number; flags: number; request: Request }> {
    const { id, type, flags, payload } = await this.next();
    if (type !== frameTypes.request) throw new Error(`a frame of type ${type} came`);
    return { id, flags, request: decodeRequest(payload, 0, payload.length, true) };
  }

  #tell(): void {
    const changed = this.#changed;
    this.#changed = [];
    for (const fn of changed) fn();
  }
}

export function bytesOf(...values: number[]): Uint8Array {
  return Uint8Array.from(values);
}
