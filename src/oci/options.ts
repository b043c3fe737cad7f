// Options of the runtime as a daemon hands them over: an Any with containerd.runc.v1.Options, or with
// runtimeoptions.v1.Options, whose TOML text uses the same names. Both become one RuntimeOptions. An option or a type
// that is not known is refused by name, never passed over.

import type { Any } from "../api/google/protobuf/any.ts";
import { CheckpointOptions, Options as RuncOptions } from "../api/runc-options.ts";
import { Options as TomlOptions } from "../api/runtime-options.ts";
import { errnoName, isErrno } from "../sys/errno.ts";
import { MoorError } from "../sys/error.ts";
import { quoted } from "../sys/quoted.ts";
import type { Sys } from "../sys/sys.d.ts";

/** What can be set about the runtime; empty strings, zeros and false mean "as usual". */
export interface RuntimeOptions {
  /** Name or path of the runtime; "" is runc. */
  readonly binaryName: string;
  /** Folder of the runtime's state, without the namespace; "" is /run/containerd/runc. */
  readonly root: string;
  readonly systemdCgroup: boolean;
  readonly noPivotRoot: boolean;
  readonly noNewKeyring: boolean;
  /** cgroup into which `start` moves the shim; "" leaves it where it is. */
  readonly shimCgroup: string;
  /** Owner of the container's stdio. */
  readonly ioUid: number;
  readonly ioGid: number;
  /** Only containerd 1.6 sends it. */
  readonly criuPath: string;
  readonly criuImagePath: string;
  readonly criuWorkPath: string;
}

export const defaultOptions: RuntimeOptions = {
  binaryName: "",
  root: "",
  systemdCgroup: false,
  noPivotRoot: false,
  noNewKeyring: false,
  shimCgroup: "",
  ioUid: 0,
  ioGid: 0,
  criuPath: "",
  criuImagePath: "",
  criuWorkPath: "",
};

export const runcOptionsType = "containerd.runc.v1.Options";
export const tomlOptionsType = "runtimeoptions.v1.Options";
export const checkpointOptionsType = "containerd.runc.v1.CheckpointOptions";

const maxConfigBytes = 1024 * 1024;

/**
 * The options in this Any; all defaults when there is none or it has no type.
 * @throws MoorError invalid_argument: another type, bytes that are no such message, a TOML text with a mistake or with
 * an unknown name, a config_path that cannot be read.
 */
export async function decodeOptions(sys: Sys, any: Any | undefined): Promise<RuntimeOptions> {
  if (any === undefined || any.typeUrl === "") return defaultOptions;
  switch (messageName(any.typeUrl)) {
    case runcOptionsType:
      return fromRunc(decode(any, RuncOptions));
    case tomlOptionsType:
      return fromToml(sys, decode(any, TomlOptions));
    default:
      throw unknownType("runtime options", any.typeUrl);
  }
}

/**
 * The options of a Checkpoint; undefined when none were sent.
 * @throws MoorError invalid_argument for another type or bytes that are no such message.
 */
export function decodeCheckpointOptions(any: Any | undefined): CheckpointOptions | undefined {
  if (any === undefined || any.typeUrl === "") return undefined;
  if (messageName(any.typeUrl) !== checkpointOptionsType) throw unknownType("checkpoint options", any.typeUrl);
  return decode(any, CheckpointOptions);
}

function fromRunc(sent: RuncOptions): RuntimeOptions {
  // task_api_address and task_api_version are for the daemon itself: they say which shim to call.
  return {
    binaryName: sent.binaryName,
    root: sent.root,
    systemdCgroup: sent.systemdCgroup,
    noPivotRoot: sent.noPivotRoot,
    noNewKeyring: sent.noNewKeyring,
    shimCgroup: sent.shimCgroup,
    ioUid: sent.ioUid,
    ioGid: sent.ioGid,
    criuPath: sent.criuPath,
    criuImagePath: sent.criuImagePath,
    criuWorkPath: sent.criuWorkPath,
  };
}

async function fromToml(sys: Sys, sent: TomlOptions): Promise<RuntimeOptions> {
  // type_url only labels the text; a text made for another runtime shows by its names, which are refused one by one.
  if (sent.configBody.length > 0) return parseLazily(sys.decodeUtf8(sent.configBody), "config_body");
  if (sent.configPath === "") return defaultOptions;
  const text = sys.readText(sent.configPath, maxConfigBytes);
  if (isErrno(text)) {
    const what = `read the runtime options ${sent.configPath}: ${errnoName(text)}`;
    throw new MoorError("invalid_argument", what, { errno: text });
  }
  return parseLazily(text, sent.configPath);
}

/** The TOML parser is in a module of its own: most shims never need it, and it is larger than the rest of this folder. */
async function parseLazily(text: string, where: string): Promise<RuntimeOptions> {
  const { parseTomlOptions } = await import("./options-toml.ts");
  return parseTomlOptions(text, where);
}

function decode<T>(any: Any, type: { decode(bytes: Uint8Array): T }): T {
  try {
    return type.decode(any.value);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw new MoorError("invalid_argument", `decode ${quoted(any.typeUrl)}: ${why}`, { cause: thrown });
  }
}

/** "type.googleapis.com/a.b.C" and "a.b.C" both name a.b.C. */
function messageName(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
}

function unknownType(what: string, typeUrl: string): MoorError {
  return new MoorError("invalid_argument", `${what} of the type ${quoted(typeUrl)} are not supported`);
}
