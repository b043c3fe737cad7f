// The little of protobuf's encoding that ttrpc's own envelope needs: varints, strings, bytes, and skipping of fields
// that are not known. Numbers are JavaScript's: an int64 beyond 2^53 loses its last bits.

export const wireTypes = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Bytes that are not a protobuf message. */
export class WireError extends Error {
  override get name(): string {
    return "WireError";
  }
}

/** Reads bytes[pos, end). Every method throws WireError where the bytes end too early. */
export class Reader {
  readonly bytes: Uint8Array;
  pos: number;
  readonly end: number;

  constructor(bytes: Uint8Array, pos: number, end: number) {
    this.bytes = bytes;
    this.pos = pos;
    this.end = end;
  }

  /** An unsigned varint's low 32 bits. */
  uint32(): number {
    // Nearly all are one byte long.
    const first = this.bytes[this.pos];
    if (first !== undefined && first < 0x80 && this.pos < this.end) {
      this.pos++;
      return first;
    }
    return this.#longUint32();
  }

  #longUint32(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#byte();
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new WireError("a varint of more than ten bytes");
  }

  /** A signed 64-bit varint, as near as a number comes. */
  int64(): number {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#byte();
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high |= bits >> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) return high * 0x100000000 + (low >>> 0);
    }
    throw new WireError("a varint of more than ten bytes");
  }

  /** A length and that many bytes: returns where they end and leaves `pos` where they start. */
  span(): number {
    const length = this.uint32();
    if (length > this.end - this.pos) throw new WireError("a field is longer than its message");
    return this.pos + length;
  }

  /** A reader of the message that is a field here; this one goes on after it. */
  nested(): Reader {
    const end = this.span();
    const start = this.pos;
    this.pos = end;
    return new Reader(this.bytes, start, end);
  }

  string(): string {
    const end = this.span();
    const start = this.pos;
    this.pos = end;
    try {
      return decoder.decode(this.bytes.subarray(start, end));
    } catch (thrown) {
      throw new WireError("a string is not UTF-8", { cause: thrown });
    }
  }

  /** Passes over the value of a field with the tag given. */
  skip(tag: number): void {
    const wireType = tag & 7;
    if (tag >>> 3 === 0) throw new WireError("field number 0");
    if (wireType === wireTypes.varint) this.int64();
    else if (wireType === wireTypes.bytes) this.pos = this.span();
    else if (wireType === wireTypes.fixed64) this.#pass(8);
    else if (wireType === wireTypes.fixed32) this.#pass(4);
    else throw new WireError(`wire type ${wireType}`);
  }

  #pass(count: number): void {
    if (count > this.end - this.pos) throw new WireError("a field is longer than its message");
    this.pos += count;
  }

  #byte(): number {
    if (this.pos >= this.end) throw new WireError("the message ends inside a field");
    return this.bytes[this.pos++] ?? 0;
  }
}

/** How many bytes a varint takes; for whole numbers from 0. */
export function varintSize(value: number): number {
  let size = 1;
  for (let left = value; left >= 0x80; left = Math.floor(left / 0x80)) size++;
  return size;
}

/** How many bytes a field of bytes takes, tag included; 0 for none. Field numbers are below 16. */
export function bytesFieldSize(length: number): number {
  return 1 + varintSize(length) + length;
}

/** Writes into an array that was made large enough. */
export class Writer {
  readonly bytes: Uint8Array;
  pos: number;

  constructor(bytes: Uint8Array, pos: number) {
    this.bytes = bytes;
    this.pos = pos;
  }

  varint(value: number): void {
    let left = value;
    while (left >= 0x80) {
      this.bytes[this.pos++] = (left % 0x80) | 0x80;
      left = Math.floor(left / 0x80);
    }
    this.bytes[this.pos++] = left;
  }

  varintField(field: number, value: number): void {
    this.bytes[this.pos++] = (field << 3) | wireTypes.varint;
    this.varint(value);
  }

  /** The tag and length of a field whose bytes follow. */
  opening(field: number, length: number): void {
    this.bytes[this.pos++] = (field << 3) | wireTypes.bytes;
    this.varint(length);
  }

  bytesField(field: number, value: Uint8Array): void {
    this.opening(field, value.length);
    this.bytes.set(value, this.pos);
    this.pos += value.length;
  }
}
