// How messages become bytes: any protobuf library fits behind these two functions.

import { StatusError } from "./status.ts";

export interface Codec<T> {
  encode(message: T): Uint8Array;
  /** The bytes are the callee's own: a message may keep parts of them. */
  decode(bytes: Uint8Array): T;
}

/** Messages that are bytes already. */
export const raw: Codec<Uint8Array> = { encode: (bytes) => bytes, decode: (bytes) => bytes };

/** Message functions as ts-proto, protobuf.js and others of that family make them. */
export interface MessageFns<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/** The codec of a generated message type: `protoCodec(StateRequest)`. */
export function protoCodec<T>(message: MessageFns<T>): Codec<T> {
  return {
    encode: (value) => message.encode(value).finish(),
    decode: (bytes) => message.decode(bytes),
  };
}

/**
 * @param code whose fault it is: InvalidArgument for what a client has sent, Internal for what a server has.
 * @throws StatusError with this code when the bytes are not such a message.
 */
export function decodeMessage<T>(codec: Codec<T>, bytes: Uint8Array, code: number): T {
  try {
    return codec.decode(bytes);
  } catch (thrown) {
    const text = thrown instanceof Error ? thrown.message : String(thrown);
    throw new StatusError(code, `the message cannot be decoded: ${text}`, [], { cause: thrown });
  }
}
