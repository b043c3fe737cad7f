// The envelope: Request (service 1, method 2, payload 3, timeout_nano 4, metadata 5) and Response (status 1, payload 2),
// read from frames and written into whole frames, so that a payload is copied once.

import { copyOf, frameTypes, headerBytes, putHeader } from "./frame.ts";
import { type StatusDetail, StatusError } from "./status.ts";
import { bytesFieldSize, Reader, utf8, varintSize, WireError, Writer } from "./wire.ts";

export type Metadata = ReadonlyMap<string, readonly string[]>;

export interface Request {
  readonly service: string;
  readonly method: string;
  /** Absent is not the same as empty: a stream that begins without a message has none. */
  readonly payload: Uint8Array | undefined;
  /** Nanoseconds; 0 for none; negative when the time was over before the request was sent. */
  readonly timeoutNs: number;
  readonly metadata: Metadata | undefined;
}

export interface Response {
  /** undefined for OK. */
  readonly status: StatusError | undefined;
  readonly payload: Uint8Array | undefined;
}

// Tags as they stand on the wire: field number and wire type. Plain constants, which the bundler puts in place.
const bytes1 = 0x0a;
const bytes2 = 0x12;
const bytes3 = 0x1a;
const bytes5 = 0x2a;
const varint1 = 0x08;
const varint4 = 0x20;

/** Pairs of metadata of one request: each costs many times its length. */
const maxPairs = 1024;

/** Characters of a status' message: what refuses a long request may name all of it, and answers to that are never held. */
const maxStatusLength = 16 * 1024;

/** @throws WireError. `owned`: the payload may be a view of the bytes. */
export function decodeRequest(bytes: Uint8Array, start: number, end: number, owned: boolean): Request {
  const reader = new Reader(bytes, start, end);
  let service = "";
  let method = "";
  let payload: Uint8Array | undefined;
  let timeoutNs = 0;
  let metadata: Map<string, string[]> | undefined;
  let pairs = 0;
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === bytes1) service = reader.string();
    else if (tag === bytes2) method = reader.string();
    else if (tag === bytes3) payload = readBytes(reader, owned);
    else if (tag === varint4) timeoutNs = reader.int64();
    else if (tag === bytes5) metadata = readPair(reader, metadata ?? new Map(), ++pairs);
    else reader.skip(tag);
  }
  return { service, method, payload, timeoutNs, metadata };
}

/** @throws WireError. `owned`: as in decodeRequest. */
export function decodeResponse(bytes: Uint8Array, start: number, end: number, owned: boolean): Response {
  const reader = new Reader(bytes, start, end);
  let status: StatusError | undefined;
  let payload: Uint8Array | undefined;
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === bytes1) status = readStatus(reader);
    else if (tag === bytes2) payload = readBytes(reader, owned);
    else reader.skip(tag);
  }
  return { status, payload };
}

/** A whole request frame. timeoutNs 0: none. */
export function requestFrame(id: number, flags: number, request: Request): Uint8Array {
  const service = utf8(request.service);
  const method = utf8(request.method);
  const { payload, timeoutNs } = request;
  const pairs = encodePairs(request.metadata);
  let size = headerBytes + bytesFieldSize(service.length) + bytesFieldSize(method.length);
  if (payload !== undefined) size += bytesFieldSize(payload.length);
  if (timeoutNs > 0) size += 1 + varintSize(timeoutNs);
  for (const pair of pairs) size += bytesFieldSize(pair.length);
  const writer = new Writer(new Uint8Array(size), headerBytes);
  writer.bytesField(1, service);
  writer.bytesField(2, method);
  if (payload !== undefined) writer.bytesField(3, payload);
  if (timeoutNs > 0) writer.varintField(4, timeoutNs);
  for (const pair of pairs) writer.bytesField(5, pair);
  return putHeader(writer.bytes, id, frameTypes.request, flags);
}

/** A whole response frame for a call that went well. */
export function responseFrame(id: number, payload: Uint8Array): Uint8Array {
  if (payload.length === 0) return putHeader(new Uint8Array(headerBytes), id, frameTypes.response, 0);
  const writer = new Writer(new Uint8Array(headerBytes + bytesFieldSize(payload.length)), headerBytes);
  writer.bytesField(2, payload);
  return putHeader(writer.bytes, id, frameTypes.response, 0);
}

/** A whole response frame for a call that did not. */
export function statusFrame(id: number, status: StatusError): Uint8Array {
  const { message: whole } = status;
  const message = utf8(whole.length <= maxStatusLength ? whole : `${whole.slice(0, maxStatusLength)}… (cut)`);
  const code = status.code >>> 0;
  const details = status.details.map(encodeDetail);
  let size = 1 + varintSize(code) + bytesFieldSize(message.length);
  for (const detail of details) size += bytesFieldSize(detail.length);
  const writer = new Writer(new Uint8Array(headerBytes + bytesFieldSize(size)), headerBytes);
  writer.opening(1, size);
  writer.varintField(1, code);
  writer.bytesField(2, message);
  for (const detail of details) writer.bytesField(3, detail);
  return putHeader(writer.bytes, id, frameTypes.response, 0);
}

function readBytes(reader: Reader, owned: boolean): Uint8Array {
  const end = reader.span();
  const start = reader.pos;
  reader.pos = end;
  return owned ? reader.bytes.subarray(start, end) : copyOf(reader.bytes, start, end);
}

function readPair(reader: Reader, metadata: Map<string, string[]>, pairs: number): Map<string, string[]> {
  if (pairs > maxPairs) throw new WireError(`metadata of more than ${maxPairs} pairs`);
  const [key, value] = readStrings(reader);
  const values = metadata.get(key);
  if (values === undefined) metadata.set(key, [value]);
  else values.push(value);
  return metadata;
}

/** A message of two strings, fields 1 and 2. */
function readStrings(outer: Reader): [string, string] {
  const reader = outer.nested();
  let first = "";
  let second = "";
  while (reader.pos < reader.end) {
    const tag = reader.uint32();
    if (tag === bytes1) first = reader.string();
    else if (tag === bytes2) second = reader.string();
    else reader.skip(tag);
  }
  return [first, second];
}

/** undefined for a status of OK. */
function readStatus(outer: Reader): StatusError | undefined {
  const reader = outer.nested();
  let code = 0;
  let message = "";
  const details: StatusDetail[] = [];
  while (reader.pos < reader.end) {
    const tag = reader.uint32();
    if (tag === varint1) code = reader.uint32();
    else if (tag === bytes2) message = reader.string();
    else if (tag === bytes3) {
      if (details.length === maxPairs) throw new WireError(`a status with more than ${maxPairs} details`);
      details.push(readDetail(reader));
    } else reader.skip(tag);
  }
  return code === 0 ? undefined : new StatusError(code, message, details);
}

function readDetail(outer: Reader): StatusDetail {
  const reader = outer.nested();
  let typeUrl = "";
  let value: Uint8Array = new Uint8Array(0);
  while (reader.pos < reader.end) {
    const tag = reader.uint32();
    if (tag === bytes1) typeUrl = reader.string();
    else if (tag === bytes2) value = readBytes(reader, false);
    else reader.skip(tag);
  }
  return { typeUrl, value };
}

function encodeDetail(detail: StatusDetail): Uint8Array {
  return encodeTwo(utf8(detail.typeUrl), detail.value);
}

function encodePairs(metadata: Metadata | undefined): Uint8Array[] {
  const pairs: Uint8Array[] = [];
  metadata?.forEach((values, key) => {
    // Go's side looks keys up in lower case only.
    const name = utf8(key.toLowerCase());
    for (const value of values) pairs.push(encodeTwo(name, utf8(value)));
  });
  return pairs;
}

/** A message of two fields of bytes, 1 and 2. */
function encodeTwo(first: Uint8Array, second: Uint8Array): Uint8Array {
  const writer = new Writer(new Uint8Array(bytesFieldSize(first.length) + bytesFieldSize(second.length)), 0);
  writer.bytesField(1, first);
  writer.bytesField(2, second);
  return writer.bytes;
}
