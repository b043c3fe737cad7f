// Protobuf's wire format by hand, as much as the tests need to say something that no encoder of Moor's has written, and
// to read an answer without its decoders.

const VARINT = 0;
const BYTES = 2;

function rawVarint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

function tag(field: number, wireType: number): Buffer {
  return rawVarint(BigInt((field << 3) | wireType));
}

/** A number, also a negative one: of int32 and enum that has ten bytes. */
export function varint(field: number, value: number): Buffer {
  return Buffer.concat([tag(field, VARINT), rawVarint(BigInt(value))]);
}

/** Bytes, or a message inside the message. */
export function group(field: number, value: Uint8Array): Buffer {
  return Buffer.concat([tag(field, BYTES), rawVarint(BigInt(value.length)), value]);
}

export function text(field: number, value: string): Buffer {
  return group(field, Buffer.from(value));
}

/** The fields of a message, by number, each with all its values in order. @throws Error for what is no such message. */
export function fieldsOf(message: Buffer): Map<number, (bigint | Buffer)[]> {
  const fields = new Map<number, (bigint | Buffer)[]>();
  let at = 0;
  const number = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++];
      if (byte === undefined || shift > 63n) throw new Error("the message ends within a number");
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const head = number();
    const field = Number(head >> 3n);
    const wireType = Number(head & 7n);
    let value: bigint | Buffer;
    if (wireType === VARINT) value = number();
    else if (wireType === BYTES) {
      const end = Number(number()) + at;
      if (end > message.length) throw new Error(`field ${field} is longer than the message`);
      value = message.subarray(at, end);
      at = end;
    } else throw new Error(`field ${field} has wire type ${wireType}`);
    fields.set(field, [...(fields.get(field) ?? []), value]);
  }
  return fields;
}
