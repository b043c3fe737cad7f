// Frames: ten bytes of header (length, stream id, type, flags; big-endian), then the payload. Cuts a byte stream into
// frames, wherever the pieces are cut, without ever holding more than one frame of allowed length.

export const headerBytes = 10;

export const frameTypes = {
  request: 1,
  response: 2,
  data: 3,
  /** Not of the protocol: "the caller has given up". Peers ignore types that they do not know (PROTOCOL.md, Cancelling). */
  cancel: 0x43,
} as const;

export const frameFlags = {
  /** No more data comes from the sender of this frame. */
  remoteClosed: 1,
  /** More data will come on this stream. */
  remoteOpen: 2,
  /** The frame carries no message, not even an empty one. */
  noData: 4,
} as const;

/** Who takes frames. */
export interface FrameSink {
  /** A frame: its payload is bytes[start, end), to be copied if kept, unless `owned`: then nobody else will use the array. */
  frame(id: number, type: number, flags: number, bytes: Uint8Array, start: number, end: number, owned: boolean): void;
  /** A frame above the limit; its payload is thrown away as it comes. */
  oversized(id: number, type: number, length: number): void;
  /** A frame for which there is no room now; its payload is thrown away as it comes. */
  noRoom(id: number, type: number, length: number): void;
  /** Whether so much more of a frame that is coming may be kept. */
  reserve(bytes: number): boolean;
  /** So much of what was reserved is needed no longer. */
  release(bytes: number): void;
  /** While true, no more frames are wanted: what comes is kept until resume(). */
  readonly held: boolean;
}

/** Writes a header into the first bytes of an array that has room for it and the payload. */
export function putHeader(bytes: Uint8Array, id: number, type: number, flags: number): Uint8Array {
  const length = bytes.length - headerBytes;
  bytes[0] = length >>> 24;
  bytes[1] = length >>> 16;
  bytes[2] = length >>> 8;
  bytes[3] = length;
  bytes[4] = id >>> 24;
  bytes[5] = id >>> 16;
  bytes[6] = id >>> 8;
  bytes[7] = id;
  bytes[8] = type;
  bytes[9] = flags;
  return bytes;
}

/** A whole frame with a payload of the caller's. */
export function encodeFrame(id: number, type: number, flags: number, payload?: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(headerBytes + (payload === undefined ? 0 : payload.length));
  if (payload !== undefined) bytes.set(payload, headerBytes);
  return putHeader(bytes, id, type, flags);
}

const firstBodyBytes = 4 * 1024;
const none = new Uint8Array(0);

export class FrameDecoder {
  readonly #sink: FrameSink;
  readonly #maxBytes: number;
  readonly #header = new Uint8Array(headerBytes);
  #headerFill = 0;
  // The frame that is coming: all of these are for a payload of which only a part is there.
  #body: Uint8Array | undefined;
  #bodyFill = 0;
  #bodyLength = 0;
  #toSkip = 0;
  /** What came while the sink held. */
  #kept: Uint8Array[] = [];

  constructor(sink: FrameSink, maxBytes: number) {
    this.#sink = sink;
    this.#maxBytes = maxBytes;
  }

  /** Takes the next bytes of the stream. false: this is no ttrpc; nothing more can be made of the stream. */
  feed(bytes: Uint8Array): boolean {
    if (this.#kept.length > 0 || this.#sink.held) {
      this.#kept.push(copyOf(bytes, 0, bytes.length));
      return true;
    }
    return this.#take(bytes);
  }

  /** The sink does not hold any more: goes on with what has been kept. Returns as feed() does. */
  resume(): boolean {
    while (!this.#sink.held) {
      const bytes = this.#kept.shift();
      if (bytes === undefined) return true;
      const before = this.#kept;
      this.#kept = [];
      const sound = this.#take(bytes);
      this.#kept.push(...before);
      if (!sound) return false;
    }
    return true;
  }

  #take(bytes: Uint8Array): boolean {
    let at = 0;
    const end = bytes.length;
    while (at < end) {
      if (this.#sink.held) {
        this.#kept.push(copyOf(bytes, at, end));
        return true;
      }
      if (this.#toSkip > 0) {
        const skipped = Math.min(this.#toSkip, end - at);
        this.#toSkip -= skipped;
        at += skipped;
      } else if (this.#body !== undefined) {
        at = this.#fillBody(this.#body, bytes, at);
      } else if (this.#headerFill === 0 && end - at >= headerBytes) {
        const next = this.#begin(bytes, at, bytes, at + headerBytes);
        if (next < 0) return false;
        at = next;
      } else {
        this.#header[this.#headerFill++] = bytes[at++] ?? 0;
        if (this.#headerFill < headerBytes) continue;
        this.#headerFill = 0;
        const next = this.#begin(this.#header, 0, bytes, at);
        if (next < 0) return false;
        at = next;
      }
    }
    return true;
  }

  /** A header is there at head[from]; returns where in `bytes` to go on, or -1 for garbage. */
  #begin(head: Uint8Array, from: number, bytes: Uint8Array, at: number): number {
    const length = readUint32(head, from);
    const id = readUint32(head, from + 4);
    const type = head[from + 8] ?? 0;
    const flags = head[from + 9] ?? 0;
    if (length > this.#maxBytes) {
      if (!isPlausible(length, id, type, flags)) return -1;
      this.#toSkip = length;
      this.#sink.oversized(id, type, length);
      return at;
    }
    const end = at + length;
    if (end <= bytes.length) {
      this.#sink.frame(id, type, flags, bytes, at, end, false);
      return end;
    }
    if (head !== this.#header) this.#header.set(head.subarray(from, from + headerBytes));
    this.#bodyLength = length;
    this.#bodyFill = 0;
    // Not the whole length at once: a peer that only claims shall cost little.
    const size = Math.min(length, Math.max(firstBodyBytes, bytes.length - at));
    if (!this.#sink.reserve(size)) return this.#refuse(at);
    this.#body = new Uint8Array(size);
    return this.#fillBody(this.#body, bytes, at);
  }

  /** Passes over the rest of the frame that is coming; returns where it goes on. */
  #refuse(at: number): number {
    this.giveUp();
    this.#toSkip = this.#bodyLength - this.#bodyFill;
    const head = this.#header;
    this.#sink.noRoom(readUint32(head, 4), head[8] ?? 0, this.#bodyLength);
    return at;
  }

  /** Keeps nothing any more of a frame that is coming. */
  giveUp(): void {
    if (this.#body !== undefined) this.#sink.release(this.#body.length);
    this.#body = undefined;
  }

  #fillBody(body: Uint8Array, bytes: Uint8Array, at: number): number {
    const count = Math.min(bytes.length - at, this.#bodyLength - this.#bodyFill);
    const fill = this.#bodyFill + count;
    let target = body;
    if (fill > body.length) {
      const size = Math.min(this.#bodyLength, Math.max(fill, body.length * 2));
      if (!this.#sink.reserve(size - body.length)) return this.#refuse(at);
      target = new Uint8Array(size);
      target.set(body.subarray(0, this.#bodyFill));
      this.#body = target;
    }
    target.set(count === bytes.length ? bytes : bytes.subarray(at, at + count), this.#bodyFill);
    this.#bodyFill = fill;
    if (fill === this.#bodyLength) {
      this.#body = undefined;
      const head = this.#header;
      this.#sink.release(target.length);
      this.#sink.frame(readUint32(head, 4), head[8] ?? 0, head[9] ?? 0, target, 0, fill, true);
    }
    return at + count;
  }
}

/** A header whose length uses the byte that the protocol keeps zero is believed only when all else in it makes sense. */
function isPlausible(length: number, id: number, type: number, flags: number): boolean {
  return length < 1 << 24 || (type >= 1 && type <= 3 && flags <= 7 && id % 2 === 1);
}

function readUint32(bytes: Uint8Array, at: number): number {
  // Not shifted all the way: << makes a sign of the highest bit.
  const high = (bytes[at] as number) * 0x1000000;
  return high + (((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number));
}

/** A copy with memory of its own, also where slice() of a subclass (Node's Buffer) gives a view. */
export function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  if (start === end) return none;
  if (bytes.constructor === Uint8Array) return bytes.slice(start, end);
  const copy = new Uint8Array(end - start);
  copy.set(bytes.subarray(start, end));
  return copy;
}
