// A small ttrpc client and server of the tests' own, written against the wire and not against packages/ttrpc: a fault
// that our package makes on both sides cannot hide itself here. Unary calls only; frames can be sent raw.

import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { connect, createServer, type Server, type Socket } from "node:net";
import { within } from "./until.ts";

const HEADER_BYTES = 10;
const TYPE_REQUEST = 1;
const TYPE_RESPONSE = 2;
const CALL_MS = 20_000;

export interface Frame {
  readonly streamId: number;
  readonly type: number;
  readonly flags: number;
  readonly payload: Uint8Array;
}

/** A call that was answered with a status other than OK. */
export class StatusError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** A frame as it goes over the wire. */
export function encodeFrame({ streamId, type, flags, payload }: Frame): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(payload.length, 0);
  header.writeUInt32BE(streamId, 4);
  header.writeUInt8(type, 8);
  header.writeUInt8(flags, 9);
  return Buffer.concat([header, payload]);
}

/** The payload of a request frame. */
export function encodeRequest(service: string, method: string, payload: Uint8Array, timeoutNs = 0n): Uint8Array {
  const writer = new BinaryWriter().uint32(10).string(service).uint32(18).string(method).uint32(26).bytes(payload);
  if (timeoutNs > 0n) writer.uint32(32).int64(timeoutNs);
  return writer.finish();
}

/** Fields of a message whose values are strings, bytes or numbers, by field number; for this file's few messages. */
function readFields(bytes: Uint8Array): Map<number, Uint8Array | number> {
  const reader = new BinaryReader(bytes);
  const fields = new Map<number, Uint8Array | number>();
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (wireType === 2) fields.set(field, reader.bytes());
    else fields.set(field, Number(reader.int64()));
  }
  return fields;
}

function textOf(value: Uint8Array | number | undefined): string {
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : "";
}

/** The payload of a response frame; a status other than OK is thrown. */
function decodeResponse(bytes: Uint8Array): Uint8Array {
  const fields = readFields(bytes);
  const status = fields.get(1);
  if (status instanceof Uint8Array) {
    const parts = readFields(status);
    const code = Number(parts.get(1) ?? 0);
    if (code !== 0) throw new StatusError(code, textOf(parts.get(2)));
  }
  const payload = fields.get(2);
  return payload instanceof Uint8Array ? payload : new Uint8Array();
}

/** Calls `onFrame` for each whole frame that comes on the socket. */
function readFrames(socket: Socket, onFrame: (frame: Frame) => void): void {
  let rest = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + rest.readUInt32BE(0);
      if (rest.length < end) return;
      const payload = new Uint8Array(rest.subarray(HEADER_BYTES, end));
      onFrame({ streamId: rest.readUInt32BE(4), type: rest.readUInt8(8), flags: rest.readUInt8(9), payload });
      rest = rest.subarray(end);
    }
  });
}

export class RawClient {
  readonly socket: Socket;
  /** Settles when the connection is over. */
  readonly closed: Promise<void>;
  #nextStream = 1;
  readonly #pending = new Map<number, { resolve: (bytes: Uint8Array) => void; reject: (fault: Error) => void }>();

  private constructor(socket: Socket) {
    this.socket = socket;
    readFrames(socket, (frame) => this.#take(frame));
    this.closed = new Promise((resolve) => {
      socket.on("close", () => {
        for (const { reject } of this.#pending.values()) reject(new Error("the connection is closed"));
        this.#pending.clear();
        resolve();
      });
    });
    socket.on("error", () => undefined);
  }

  static connect(path: string): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      socket.once("connect", () => resolve(new RawClient(socket)));
      socket.once("error", reject);
    });
  }

  /** One call. @throws StatusError, or Error when the connection closes or the answer does not come in time. */
  call(service: string, method: string, payload: Uint8Array, deadlineMs = CALL_MS): Promise<Uint8Array> {
    const request = encodeRequest(service, method, payload);
    return within(`the answer to ${method}`, deadlineMs, this.send(TYPE_REQUEST, request));
  }

  /** Sends a frame with a payload of the caller's and awaits the response on its stream. */
  send(type: number, payload: Uint8Array, streamId = this.#takeStream()): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.socket.destroyed) return reject(new Error("the connection is closed"));
      this.#pending.set(streamId, { resolve, reject });
      this.socket.write(encodeFrame({ streamId, type, flags: 0, payload }));
    });
  }

  close(): void {
    this.socket.destroy();
  }

  #takeStream(): number {
    const id = this.#nextStream;
    this.#nextStream += 2;
    return id;
  }

  #take(frame: Frame): void {
    const waiter = this.#pending.get(frame.streamId);
    if (waiter === undefined) return;
    this.#pending.delete(frame.streamId);
    try {
      waiter.resolve(decodeResponse(frame.payload));
    } catch (fault) {
      waiter.reject(fault as Error);
    }
  }
}

export type RawHandler = (service: string, method: string, payload: Uint8Array) => Uint8Array | Promise<Uint8Array>;

export class RawServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Listens at `path` and answers each unary request with what the handler returns; a StatusError becomes its status. */
  static listen(path: string, handler: RawHandler): Promise<RawServer> {
    return new Promise((resolve, reject) => {
      const server = createServer((socket) => {
        self.#sockets.add(socket);
        socket.on("close", () => self.#sockets.delete(socket));
        socket.on("error", () => undefined);
        readFrames(socket, (frame) => void answer(socket, frame, handler));
      });
      const self = new RawServer(server);
      server.once("error", reject);
      server.listen(path, () => resolve(self));
    });
  }

  get connectionCount(): number {
    return this.#sockets.size;
  }

  /** Stops listening and cuts every connection. */
  close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

async function answer(socket: Socket, frame: Frame, handler: RawHandler): Promise<void> {
  const fields = readFields(frame.payload);
  const request = fields.get(3);
  let response: Uint8Array;
  try {
    const payload = await handler(
      textOf(fields.get(1)),
      textOf(fields.get(2)),
      request instanceof Uint8Array ? request : new Uint8Array(),
    );
    response = new BinaryWriter().uint32(18).bytes(payload).finish();
  } catch (fault) {
    const code = fault instanceof StatusError ? fault.code : 2;
    const status = new BinaryWriter().uint32(8).int32(code).uint32(18).string(String(fault)).finish();
    response = new BinaryWriter().uint32(10).bytes(status).finish();
  }
  socket.write(encodeFrame({ streamId: frame.streamId, type: TYPE_RESPONSE, flags: 0, payload: response }));
}
