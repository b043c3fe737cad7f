// The bundle's config.json: read, checked as far as the shim relies on it, and asked the few questions that the shim
// has (which group, which rootfs, whose pid namespace). Everything else in it is the runtime's business and is not
// looked at. No state; every failure is a MoorError invalid_argument that names the file and the field.

import { errnoName, isErrno } from "../sys/errno.ts";
import { MoorError } from "../sys/error.ts";
import { isCostlyJson } from "../sys/json-cost.ts";
import { quoted } from "../sys/quoted.ts";
import type { Sys } from "../sys/sys.d.ts";

/** One entry of linux.namespaces. */
export interface SpecNamespace {
  readonly type: string;
  /** Absent or empty: a new namespace is made. */
  readonly path?: string;
}

/** The fields of an OCI spec that the shim reads; others are there, untyped. */
export interface Spec {
  readonly process: Readonly<Record<string, unknown>>;
  readonly root?: { readonly path?: string; readonly [field: string]: unknown };
  readonly annotations?: Readonly<Record<string, string>>;
  readonly linux?: { readonly namespaces?: readonly SpecNamespace[]; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}

/** Bytes of config.json that are read at most. The largest ones seen (thousands of mounts) are far below a megabyte. */
export const maxSpecBytes = 8 * 1024 * 1024;

// In the order in which the stock shim looks at them.
const groupAnnotations = ["io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"] as const;

/**
 * The checked spec of the bundle in this folder.
 * @throws MoorError invalid_argument: no config.json, too large, not JSON, without process, a field of a wrong type.
 */
export function readSpec(sys: Sys, bundle: string): Spec {
  const path = `${bundle}/config.json`;
  const text = sys.readText(path, maxSpecBytes);
  if (isErrno(text)) {
    throw new MoorError("invalid_argument", `read the bundle's spec ${path}: ${errnoName(text)}`, { errno: text });
  }
  return parseSpec(text, path);
}

/** The same from text; `path` is for the errors only. */
export function parseSpec(text: string, path: string): Spec {
  const reject = (why: string): MoorError => new MoorError("invalid_argument", `the bundle's spec ${path} ${why}`);
  let spec: unknown;
  if (isCostlyJson(text)) throw reject("has too many values");
  try {
    spec = JSON.parse(text);
  } catch (thrown) {
    throw reject(`is not JSON: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
  if (!isObject(spec)) throw reject("is not a JSON object");
  const { process, root, annotations, linux } = spec;
  if (process === undefined || process === null) throw reject("has no process to run");
  if (!isObject(process)) throw reject("has a process that is not an object");
  if (present(root)) {
    if (!isObject(root)) throw reject("has a root that is not an object");
    if (present(root["path"]) && typeof root["path"] !== "string") throw reject("has a root.path that is not a string");
  }
  if (present(annotations)) {
    if (!isObject(annotations)) throw reject("has annotations that are not an object");
    for (const [name, value] of Object.entries(annotations)) {
      if (typeof value !== "string") throw reject(`has an annotation ${quoted(name)} that is not a string`);
    }
  }
  if (present(linux)) {
    if (!isObject(linux)) throw reject("has a linux section that is not an object");
    checkNamespaces(linux["namespaces"], reject);
  }
  return spec as unknown as Spec;
}

/** The id under which containers share one shim, or undefined when this one stands alone. */
export function groupOf(spec: Spec): string | undefined {
  for (const name of groupAnnotations) {
    const group = spec.annotations?.[name];
    if (group !== undefined && group !== "") return group;
  }
  return undefined;
}

/**
 * Whether the container's processes live in a pid namespace that others share (the host's, or one given by path): then
 * the end of init does not end the rest, and the shim must kill what is left.
 */
export function sharesPidNamespace(spec: Spec): boolean {
  const own = spec.linux?.namespaces?.find((namespace) => namespace.type === "pid");
  return own === undefined || (own.path !== undefined && own.path !== "");
}

/** The absolute path of the root filesystem: root.path, from the bundle when it is relative; `rootfs` when unsaid. */
export function rootfsOf(spec: Spec, bundle: string): string {
  const path = spec.root?.path;
  if (path === undefined || path === null || path === "") return `${bundle}/rootfs`;
  return path.startsWith("/") ? path : `${bundle}/${path}`;
}

function checkNamespaces(namespaces: unknown, reject: (why: string) => MoorError): void {
  if (!present(namespaces)) return;
  if (!Array.isArray(namespaces)) throw reject("has linux.namespaces that are not a list");
  for (const namespace of namespaces) {
    if (!isObject(namespace) || typeof namespace["type"] !== "string") {
      throw reject("has an entry of linux.namespaces without a type");
    }
    if (present(namespace["path"]) && typeof namespace["path"] !== "string") {
      throw reject(`has a ${namespace["type"].slice(0, 40)} namespace whose path is not a string`);
    }
  }
}

// Go's encoder writes null for what is empty, so null is as good as absent.
function present(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
