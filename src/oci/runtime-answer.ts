// What a runtime answers on its standard output, read without trusting it: it may be any text at all.

import { MoorError } from "../sys/error.ts";
import type { Operation } from "./runtime-error.ts";

/** What `state` tells. */
export interface RuntimeState {
  readonly id: string;
  readonly pid: number;
  /** "creating", "created", "running", "stopped" or "paused". */
  readonly status: string;
  readonly bundle: string;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface RuntimeVersion {
  /** "runc", "crun": the first word of the output. */
  readonly name: string;
  readonly version: string;
  readonly commit: string;
  /** Version of the runtime specification. */
  readonly spec: string;
}

/** The JSON object that a command has printed. @throws MoorError internal when it is none. */
export function parseAnswer(operation: Operation, text: string): Record<string, unknown> {
  try {
    const answer: unknown = JSON.parse(text);
    if (isObject(answer)) return answer;
  } catch {
    // Told below with what it was.
  }
  throw new MoorError("internal", `OCI runtime ${operation}: its answer is no JSON object: ${text.slice(0, 200)}`);
}

/** The answer of `state ID`. @throws MoorError internal when it is none. */
export function parseState(id: string, text: string): RuntimeState {
  const { pid, status, bundle, annotations } = parseAnswer("state", text);
  if (typeof pid !== "number" || typeof status !== "string") {
    throw new MoorError("internal", `OCI runtime state: no pid or status in its answer about ${id}`);
  }
  const texts = Object.entries(isObject(annotations) ? annotations : {}).filter(
    ([, value]) => typeof value === "string",
  );
  return {
    id,
    pid,
    status,
    bundle: typeof bundle === "string" ? bundle : "",
    annotations: Object.fromEntries(texts) as Record<string, string>,
  };
}

/** The answer of `--version`; "" for what it does not say. */
export function parseVersion(text: string): RuntimeVersion {
  const first = /^(\S+) version (\S+)/.exec(text);
  return {
    name: first?.[1] ?? "",
    version: first?.[2] ?? "",
    commit: /^commit: (.*)$/m.exec(text)?.[1]?.trim() ?? "",
    spec: /^spec: (.*)$/m.exec(text)?.[1]?.trim() ?? "",
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
