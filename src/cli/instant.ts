// Instants as the command line shows them.

import type { Timestamp } from "../api/google/protobuf/timestamp.ts";

/** RFC 3339 of a timestamp; "" for Go's zero time, by which a shim says that there is none. */
export function instantOf(time: Timestamp | undefined): string {
  if (time === undefined || time.seconds <= 0n) return "";
  const whole = new Date(Number(time.seconds) * 1000).toISOString().slice(0, 19);
  return `${whole}.${String(time.nanos).padStart(9, "0")}Z`;
}
