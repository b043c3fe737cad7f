// The bundle's files `options.json` and `runtime`: what Create was told about the runtime, kept for a later `delete`,
// which may come from this shim or from the stock one. So the form is the stock shim's (containerd 1.6 to 2.x): JSON of
// containerd.runc.v1.Options by its field names without what is empty, and the bare name of the binary.

import { ENOENT, errnoName, isErrno } from "../sys/errno.ts";
import { MoorError, must } from "../sys/error.ts";
import { O_CREAT, O_TRUNC } from "../sys/flags.ts";
import type { Sys } from "../sys/sys.d.ts";
import { defaultOptions, type RuntimeOptions } from "./options.ts";

const maxFileBytes = 64 * 1024;

const fieldNames: Readonly<Record<keyof RuntimeOptions, string>> = {
  noPivotRoot: "no_pivot_root",
  noNewKeyring: "no_new_keyring",
  shimCgroup: "shim_cgroup",
  ioUid: "io_uid",
  ioGid: "io_gid",
  binaryName: "binary_name",
  root: "root",
  criuPath: "criu_path",
  systemdCgroup: "systemd_cgroup",
  criuImagePath: "criu_image_path",
  criuWorkPath: "criu_work_path",
};

/**
 * Writes both files into the bundle, readable by root only.
 * @throws MoorError with the errno.
 */
export function writeOptions(sys: Sys, bundle: string, options: RuntimeOptions): void {
  const kept: Record<string, string | number | boolean> = {};
  for (const [field, name] of Object.entries(fieldNames) as [keyof RuntimeOptions, string][]) {
    const value = options[field];
    if (value !== defaultOptions[field]) kept[name] = value;
  }
  const flags = O_CREAT | O_TRUNC;
  const files = [
    ["options.json", JSON.stringify(kept)],
    ["runtime", options.binaryName],
  ] as const;
  try {
    for (const [name, text] of files)
      must(sys.writeText(`${bundle}/${name}`, text, flags, 0o600), `write ${bundle}/${name}`);
  } catch (thrown) {
    // On a full disk they are there and empty, and a `delete` could make nothing of that.
    for (const [name] of files) sys.unlink(`${bundle}/${name}`);
    throw thrown;
  }
}

/**
 * The options of the bundle's container; defaults for what was never written. The file `runtime` wins over
 * options.json for the binary, as in the stock shim.
 * @throws MoorError failed_precondition when a file is there but cannot be read or understood.
 */
export function readOptions(sys: Sys, bundle: string): RuntimeOptions {
  const path = `${bundle}/options.json`;
  const text = readIfThere(sys, path);
  const options: Record<string, unknown> = { ...defaultOptions };
  if (text !== undefined) {
    let stored: unknown;
    try {
      stored = JSON.parse(text);
    } catch (thrown) {
      throw new MoorError("failed_precondition", `${path} is not JSON`, { cause: thrown });
    }
    if (typeof stored !== "object" || stored === null) {
      throw new MoorError("failed_precondition", `${path} is not a JSON object`);
    }
    for (const [field, name] of Object.entries(fieldNames) as [keyof RuntimeOptions, string][]) {
      const value = (stored as Record<string, unknown>)[name];
      // A newer stock shim may write more fields than we know: those say nothing about root and binary.
      if (typeof value === typeof defaultOptions[field]) options[field] = value;
    }
  }
  const binary = readIfThere(sys, `${bundle}/runtime`);
  if (binary !== undefined && binary !== "") options["binaryName"] = binary;
  return options as unknown as RuntimeOptions;
}

function readIfThere(sys: Sys, path: string): string | undefined {
  const text = sys.readText(path, maxFileBytes);
  if (text === ENOENT) return undefined;
  if (isErrno(text)) throw new MoorError("failed_precondition", `read ${path}: ${errnoName(text)}`, { errno: text });
  return text;
}
