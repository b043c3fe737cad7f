// Instants on the wire and in text. Inside the shim an instant is a bigint of nanoseconds since 1970.

/** google.protobuf.Timestamp's fields. */
export interface WireTime {
  readonly seconds: bigint;
  readonly nanos: number;
}

/** 0001-01-01T00:00:00Z: Go's zero time, which clients read as "there is no exit yet" (0 would read as 1970). */
export const noTime: WireTime = { seconds: -62135596800n, nanos: 0 };

const nsPerSecond = 1_000_000_000n;

/** Nanoseconds since 1970 (not before) as a Timestamp. */
export function wireTime(ns: bigint): WireTime {
  return { seconds: ns / nsPerSecond, nanos: Number(ns % nsPerSecond) };
}

/** RFC 3339 in UTC with nine digits of a second, e.g. 2026-01-02T03:04:05.000000006Z. */
export function rfc3339(ns: bigint): string {
  const { seconds, nanos } = wireTime(ns);
  const date = new Date(Number(seconds) * 1000).toISOString();
  return `${date.slice(0, 19)}.${String(nanos).padStart(9, "0")}Z`;
}

/** The nanoseconds of an RFC 3339 text as rfc3339() writes it; undefined when it is not one. */
export function parseRfc3339(text: string): bigint | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(text);
  if (match === null) return undefined;
  const seconds = Date.parse(`${match[1]}Z`);
  if (Number.isNaN(seconds)) return undefined;
  return BigInt(seconds) * 1_000_000n + BigInt((match[2] ?? "0").padEnd(9, "0"));
}
