// The private copy of a bundle's config.json that `moor run` hands to the shim: paths that were meant from the bundle's
// own folder made absolute, the arguments and the terminal as asked. Pure; everything else is passed through.

import { resolve } from "node:path";
import { CliError, textOf } from "./cli-error.ts";

/** What the command line changes. */
export interface RunChanges {
  /** Takes the place of process.args unless empty. */
  readonly args: readonly string[];
  readonly terminal: boolean;
}

/** A parsed config.json of which what we touch has been checked. */
export interface RunSpec {
  readonly json: Readonly<Record<string, unknown>>;
  /** process.terminal as the bundle says it. */
  readonly terminal: boolean;
}

type JsonObject = Readonly<Record<string, unknown>>;

/** @throws CliError for what is not a spec; `path` is for the message. */
export function parseRunSpec(text: string, path: string): RunSpec {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (thrown) {
    throw new CliError(`${path} is not JSON: ${textOf(thrown)}`, "failure", thrown);
  }
  if (!isObject(json)) throw new CliError(`${path} is not a JSON object`);
  const { process, root, mounts } = json;
  if (!isObject(process)) throw new CliError(`${path} has no process to run`);
  if (root !== undefined && root !== null && !isObject(root)) throw new CliError(`${path}: root is not an object`);
  if (mounts !== undefined && mounts !== null && !Array.isArray(mounts))
    throw new CliError(`${path}: mounts is not a list`);
  return { json, terminal: process["terminal"] === true };
}

/** The config.json to run from another folder than `bundle`, where it was written. */
export function runSpecText(spec: RunSpec, bundle: string, changes: RunChanges): string {
  const process = spec.json["process"] as JsonObject;
  const root = (spec.json["root"] ?? {}) as JsonObject;
  const rootPath = typeof root["path"] === "string" && root["path"] !== "" ? root["path"] : "rootfs";
  const mounts = (spec.json["mounts"] ?? []) as readonly unknown[];
  const changed = {
    ...spec.json,
    process: {
      ...process,
      terminal: changes.terminal,
      ...(changes.args.length > 0 ? { args: changes.args } : {}),
    },
    root: { ...root, path: resolve(bundle, rootPath) },
    mounts: mounts.map((mount) => absoluteMount(mount, bundle)),
  };
  return `${JSON.stringify(changed)}\n`;
}

// The runtime takes the source of a bind mount, and of nothing else, from the bundle's folder.
function absoluteMount(mount: unknown, bundle: string): unknown {
  if (!isObject(mount)) return mount;
  const { type, source, options } = mount;
  const bind =
    type === "bind" || (Array.isArray(options) && options.some((option) => option === "bind" || option === "rbind"));
  if (!bind || typeof source !== "string" || source === "") return mount;
  return { ...mount, source: resolve(bundle, source) };
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
