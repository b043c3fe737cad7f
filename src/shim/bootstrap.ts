// What comes on the standard input of `start` and what is answered, by the containerd that speaks: 1.6 to 2.2 send an Any
// with the runtime's options (or nothing) and read a plain address; 2.3 and later send BootstrapParams and read a
// BootstrapResult. Loaded only when there is input.

import { BootstrapParams, BootstrapResult, LogLevel } from "../api/bootstrap.ts";
import { Any } from "../api/google/protobuf/any.ts";
import { decodeOptions, runcOptionsType, tomlOptionsType } from "../oci/options.ts";
import { MoorError } from "../sys/error.ts";
import { quoted } from "../sys/quoted.ts";
import type { Sys } from "../sys/sys.d.ts";
import type { TaskVersion } from "./join.ts";
import type { Level } from "./logger.ts";

/** What the daemon has said. */
export interface StartInput {
  /** Which answer it reads. */
  readonly answer: "address" | "result";
  /** The cgroup that the shim is to move into. "" here and below: nothing was said. */
  readonly shimCgroup: string;
  readonly ttrpcAddress: string;
  readonly grpcAddress: string;
  readonly socketFolder: string;
  /** From which level on lines go to the daemon's log. */
  readonly logLevel: Level;
}

/**
 * The input of the `start` of this id. An Any and a BootstrapParams are told apart by their first field: a type URL, or
 * the id itself.
 * @throws MoorError invalid_argument: neither of both; another namespace than the flag's; options that are refused.
 */
export async function readStartInput(sys: Sys, input: Uint8Array, id: string, namespace: string): Promise<StartInput> {
  const any = decode("the message on standard input", Any, input);
  if (any.typeUrl !== id) {
    const { shimCgroup } = await decodeOptions(sys, any);
    return { answer: "address", shimCgroup, ttrpcAddress: "", grpcAddress: "", socketFolder: "", logLevel: "info" };
  }
  const params = decode("the BootstrapParams on standard input", BootstrapParams, input);
  if (params.namespace !== namespace) {
    const named = JSON.stringify(params.namespace);
    throw new MoorError(
      "invalid_argument",
      `the BootstrapParams are for namespace ${named}, -namespace is ${namespace}`,
    );
  }
  const isFolder = params.socketDir === undefined || params.socketDir === "" || params.socketDir.startsWith("/");
  if (!isFolder) {
    throw new MoorError("invalid_argument", `socket_dir is no absolute path: ${quoted(params.socketDir ?? "")}`);
  }
  // Extensions of other types are for shims that know them.
  const options = params.extensions.map(({ value }) => value).find((value) => isOptions(value?.typeUrl ?? ""));
  const { shimCgroup } = await decodeOptions(sys, options);
  return {
    answer: "result",
    shimCgroup,
    ttrpcAddress: params.containerdTtrpcAddress,
    grpcAddress: params.containerdGrpcAddress,
    socketFolder: params.socketDir ?? "",
    logLevel: levelOf(params.logLevel),
  };
}

/**
 * The answer to BootstrapParams. Of a shim of ours version 2 is told also to a daemon that speaks 3: then it calls start,
 * Shutdown and delete for every container of a pod, instead of leaving all of them to the sandbox's.
 */
export function encodeResult(address: string, version: TaskVersion): Uint8Array {
  const result = { version, address, protocol: "ttrpc", capabilities: [], metadata: {} };
  return BootstrapResult.encode(result).finish();
}

/** Trace is as good as debug, and whatever is graver than an error is logged as one. */
function levelOf(level: LogLevel): Level {
  if (level <= LogLevel.LOG_LEVEL_DEBUG) return "debug";
  if (level < LogLevel.LOG_LEVEL_WARN) return "info";
  return level < LogLevel.LOG_LEVEL_ERROR ? "warning" : "error";
}

function isOptions(typeUrl: string): boolean {
  const name = typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
  return name === runcOptionsType || name === tomlOptionsType;
}

function decode<T>(what: string, type: { decode(bytes: Uint8Array): T }, bytes: Uint8Array): T {
  try {
    return type.decode(bytes);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw new MoorError("invalid_argument", `decode ${what}: ${why}`, { cause: thrown });
  }
}
