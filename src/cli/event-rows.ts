// Events as moor prints them, made of what containerd and shims send and keep: the known kinds with their fields, the
// others by their type alone.

import { ForwardRequest } from "../api/forward.ts";
import type { Any } from "../api/google/protobuf/any.ts";
import * as events from "../api/task-events.ts";
import type { Envelope } from "../api/types.ts";
import { instantOf } from "./instant.ts";

/** One event. The keys are those of the JSON output: a stable interface. */
export interface EventRow {
  /** RFC 3339. */
  readonly at: string;
  readonly namespace: string;
  readonly topic: string;
  /** Who tells: "containerd"; "shim", asked by its Task API; "record" and "waiting", files in the bundle. */
  readonly source: "containerd" | "shim" | "record" | "waiting";
  readonly type: string;
  readonly event: Readonly<Record<string, unknown>>;
}

const decoders: Readonly<Record<string, { decode(bytes: Uint8Array): unknown }>> = {
  "containerd.events.TaskCreate": events.TaskCreate,
  "containerd.events.TaskStart": events.TaskStart,
  "containerd.events.TaskDelete": events.TaskDelete,
  "containerd.events.TaskExit": events.TaskExit,
  "containerd.events.TaskOOM": events.TaskOOM,
  "containerd.events.TaskExecAdded": events.TaskExecAdded,
  "containerd.events.TaskExecStarted": events.TaskExecStarted,
  "containerd.events.TaskPaused": events.TaskPaused,
  "containerd.events.TaskResumed": events.TaskResumed,
  "containerd.events.TaskCheckpointed": events.TaskCheckpointed,
};
const longestRecord = 4 << 20;

export function rowOfEnvelope(envelope: Envelope, source: EventRow["source"]): EventRow {
  const { timestamp, namespace, topic, event } = envelope;
  const type = event?.typeUrl.split("/").at(-1) ?? "";
  return { at: instantOf(timestamp), namespace, topic, source, type, event: fieldsOf(type, event) };
}

/** The events in a shim's file: records of a 4-byte length (big endian) and a ForwardRequest. Stops at what is torn. */
export function rowsOfSpool(bytes: Uint8Array): EventRow[] {
  const rows: EventRow[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = view.getUint32(at);
    if (length > longestRecord || at + 4 + length > bytes.length) break;
    try {
      const { envelope } = ForwardRequest.decode(bytes.subarray(at + 4, at + 4 + length));
      if (envelope !== undefined) rows.push(rowOfEnvelope(envelope, "waiting"));
    } catch {
      // The shim writes there now: what follows is no record yet.
      break;
    }
    at += 4 + length;
  }
  return rows;
}

/** "TIME NAMESPACE TOPIC {...}". */
export function lineOf({ at, namespace, topic, type, event }: EventRow): string {
  const fields = Object.keys(event).length > 0 ? JSON.stringify(event) : type;
  return `${at} ${namespace} ${topic} ${fields}`;
}

function fieldsOf(type: string, event: Any | undefined): Record<string, unknown> {
  const decoder = decoders[type];
  return event === undefined || decoder === undefined
    ? {}
    : (plain(decoder.decode(event.value)) as Record<string, unknown>);
}

/** Timestamps as RFC 3339, 64-bit numbers as numbers: what JSON can hold. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (value === undefined) return null;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  if ("seconds" in value && "nanos" in value) return instantOf(value as { seconds: bigint; nanos: number });
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
}
