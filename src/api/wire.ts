// Reading and writing of protobuf's encoding in the shim: what the generated messages use of "@bufbuild/protobuf/wire",
// in whose place the build puts this file (scripts/build-shim.mjs). Made for an engine without a JIT: text goes through
// the host's own UTF-8 at any length, one buffer serves one message after the other, nothing is private by "#" (which the
// engine checks at each call), and there is nothing else in it.

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

const mostUint32 = 0xffff_ffff;
const groupDepth = 100;
// Not BigInt.asUintN: the engine's gives a negative number back as it is.
const sign64 = 0x8000_0000_0000_0000n;
const beyond64 = 0x1_0000_0000_0000_0000n;
/** A buffer that has grown larger is not kept for the next message. */
const keptBytes = 4096;

/** The buffer of the writer before, when it is not in use. */
const spare: Uint8Array[] = [];

export class BinaryWriter {
  buffer: Uint8Array;
  /** The buffer's length: reading it from there costs a call. */
  room: number;
  pos = 0;
  /** Where the lengths of messages that have been begun stand. */
  open: number[] = [];

  constructor() {
    this.buffer = spare.pop() ?? new Uint8Array(256);
    this.room = this.buffer.length;
  }

  /** A copy of all that was written; the writer is done with. */
  finish(): Uint8Array<ArrayBuffer> {
    const { buffer } = this;
    const bytes = new Uint8Array(this.pos);
    bytes.set(buffer.subarray(0, this.pos));
    if (this.room <= keptBytes && spare.length === 0) spare.push(buffer);
    this.buffer = bytes;
    this.room = 0;
    return bytes;
  }

  /** Begins a message that is a field: its length goes in front of it at join(). */
  fork(): this {
    if (this.pos >= this.room) this.grow(1);
    // Nearly always one byte is enough for the length.
    this.open.push(++this.pos);
    return this;
  }

  join(): this {
    const start = this.open.pop();
    if (start === undefined) throw new Error("join without fork");
    const length = this.pos - start;
    if (length < 0x80) {
      this.buffer[start - 1] = length;
      return this;
    }
    const more = sizeOf(length) - 1;
    if (this.pos + more > this.room) this.grow(more);
    this.buffer.copyWithin(start + more, start, this.pos);
    this.pos = start - 1;
    this.varint(length);
    this.pos += length;
    return this;
  }

  /** @throws RangeError for what is no unsigned integer of 32 bits. */
  uint32(value: number): this {
    if ((value & 0x7f) === value && this.pos < this.room) {
      this.buffer[this.pos++] = value;
      return this;
    }
    if (!Number.isInteger(value) || value < 0 || value > mostUint32) throw new RangeError(`not a uint32: ${value}`);
    this.varint(value);
    return this;
  }

  /** @throws RangeError for what is no signed integer of 32 bits. */
  int32(value: number): this {
    if (value >= 0 && value <= 0x7fff_ffff) return this.uint32(value);
    if ((value | 0) !== value) throw new RangeError(`not an int32: ${value}`);
    return this.int64(BigInt(value));
  }

  bool(value: boolean): this {
    return this.uint32(value ? 1 : 0);
  }

  /** @throws RangeError for what does not fit into 64 bits without a sign. */
  uint64(value: bigint): this {
    if (value < 0n || value >= beyond64) throw new RangeError(`not a uint64: ${value}`);
    if (value <= BigInt(Number.MAX_SAFE_INTEGER)) this.varint(Number(value));
    else this.longVarint(value);
    return this;
  }

  /** @throws RangeError for what does not fit into 64 bits with a sign. */
  int64(value: bigint): this {
    if (value < -sign64 || value >= sign64) throw new RangeError(`not an int64: ${value}`);
    return this.uint64(value < 0n ? value + beyond64 : value);
  }

  double(value: number): this {
    return this.raw(new Uint8Array(new Float64Array([value]).buffer));
  }

  string(value: string): this {
    return this.bytes(encoder.encode(value));
  }

  bytes(value: Uint8Array): this {
    this.uint32(value.length);
    return this.raw(value);
  }

  raw(value: Uint8Array): this {
    const { length } = value;
    if (this.pos + length > this.room) this.grow(length);
    this.buffer.set(value, this.pos);
    this.pos += length;
    return this;
  }

  /** Of a whole number that a double holds exactly. */
  private varint(value: number): void {
    if (this.pos + 10 > this.room) this.grow(10);
    const { buffer } = this;
    let { pos } = this;
    let left = value;
    while (left > 0x7fff_ffff) {
      buffer[pos++] = (left % 0x80) | 0x80;
      left = Math.floor(left / 0x80);
    }
    while (left >= 0x80) {
      buffer[pos++] = (left & 0x7f) | 0x80;
      left >>= 7;
    }
    buffer[pos++] = left;
    this.pos = pos;
  }

  private longVarint(value: bigint): void {
    if (this.pos + 10 > this.room) this.grow(10);
    let left = value;
    while (left >= 0x80n) {
      this.buffer[this.pos++] = Number(left & 0x7fn) | 0x80;
      left >>= 7n;
    }
    this.buffer[this.pos++] = Number(left);
  }

  private grow(bytes: number): void {
    const larger = new Uint8Array(Math.max(this.room * 2, this.pos + bytes, 64));
    larger.set(this.buffer);
    this.buffer = larger;
    this.room = larger.length;
  }
}

/** How many bytes the varint of a length takes. */
function sizeOf(length: number): number {
  let size = 1;
  for (let left = length; left >= 0x80; left = Math.floor(left / 0x80)) size++;
  return size;
}

/**
 * Tags, lengths and small numbers in one message. A field of two bytes may become an object of two hundred: four megabytes
 * of those are more than the heap has. Real messages have some hundreds.
 */
const mostReads = 200_000;

/** Every method throws RangeError where the bytes end too early, and where they are no protobuf. */
export class BinaryReader {
  readonly buf: Uint8Array;
  readonly len: number;
  pos = 0;
  /** How many more calls of uint32() there may be; each field takes one at least. */
  left = mostReads;
  /** The generated code counts in it how deep messages stand in messages. */
  __tsProtoDecodeDepth = 0;

  constructor(buf: Uint8Array) {
    this.buf = buf;
    this.len = buf.length;
  }

  /** The low 32 bits of a varint. */
  uint32(): number {
    if (this.left-- === 0) throw new RangeError(`a message of more than ${mostReads / 2} fields`);
    const first = this.buf[this.pos];
    if (first === undefined || first < 0x80) {
      if (first === undefined) throw new RangeError("premature EOF");
      this.pos++;
      return first;
    }
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.byte();
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new RangeError("invalid varint");
  }

  int32(): number {
    return this.uint32() | 0;
  }

  bool(): boolean {
    return this.uint64() !== 0n;
  }

  uint64(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      // Of the tenth byte one bit is left of 64.
      value |= BigInt(byte & (shift === 63n ? 1 : 0x7f)) << shift;
      if (byte < 0x80) return value;
    }
    throw new RangeError("invalid varint");
  }

  int64(): bigint {
    const value = this.uint64();
    return value >= sign64 ? value - beyond64 : value;
  }

  double(): number {
    const start = this.pass(8);
    return new DataView(this.buf.buffer, this.buf.byteOffset + start, 8).getFloat64(0, true);
  }

  string(): string {
    const length = this.length();
    const start = this.pass(length);
    return length === 0 ? "" : decoder.decode(this.buf.subarray(start, this.pos));
  }

  /** A view of the bytes that are read. */
  bytes(): Uint8Array {
    const start = this.pass(this.length());
    return this.buf.subarray(start, this.pos);
  }

  /** Passes over a field of this wire type, and gives its bytes. */
  skip(wireType: number, field?: number, depth = groupDepth): Uint8Array {
    const start = this.pos;
    if (wireType === 0) this.uint64();
    else if (wireType === 1) this.pass(8);
    else if (wireType === 2) this.pass(this.length());
    else if (wireType === 3 && depth > 0) this.skipGroup(field, depth);
    else if (wireType === 5) this.pass(4);
    else throw new RangeError(`a field of wire type ${wireType} cannot be skipped`);
    return this.buf.subarray(start, this.pos);
  }

  private skipGroup(field: number | undefined, depth: number): void {
    for (;;) {
      const tag = this.length();
      const inner = tag >>> 3;
      if (inner === 0) throw new RangeError("field number 0");
      if ((tag & 7) !== 4) this.skip(tag & 7, inner, depth - 1);
      else if (field === undefined || inner === field) return;
      else throw new RangeError("invalid end group tag");
    }
  }

  /** A varint that is no number of the sender's: one beyond 32 bits is not taken for its low bits. */
  private length(): number {
    const start = this.pos;
    const length = this.uint32();
    for (let at = start + 4; at < this.pos; at++) {
      if (((this.buf[at] ?? 0) & (at === start + 4 ? 0x70 : 0x7f)) !== 0) throw new RangeError("invalid varint");
    }
    return length;
  }

  private byte(): number {
    const byte = this.buf[this.pos];
    if (byte === undefined) throw new RangeError("premature EOF");
    this.pos++;
    return byte;
  }

  /** Where these bytes start; `pos` is behind them. */
  private pass(count: number): number {
    const start = this.pos;
    if (count > this.len - start) throw new RangeError("premature EOF");
    this.pos = start + count;
    return start;
  }
}
