// The action `-info`: what this runtime is and can do, as containerd 1.7 and later ask without a container.

import { Any } from "../api/google/protobuf/any.ts";
import { RuntimeInfo } from "../api/types.ts";
import { decodeOptions } from "../oci/options.ts";
import { Runtime, runtimeConfig } from "../oci/runtime.ts";
import { Reaper } from "../reaper/reaper.ts";
import { MoorError, must } from "../sys/error.ts";
import { SIGCHLD } from "../sys/flags.ts";
import type { Log } from "../sys/log.ts";
import type { Sys } from "../sys/sys.d.ts";
import type { ShimArguments } from "./arguments.ts";
import { readStandardInput } from "./standard-input.ts";
import { runtimeName, version } from "./version.ts";

const featuresType = "types.containerd.io/opencontainers/runtime-spec/1/features/Features";
/** A daemon asks while somebody waits for it. */
const deadlineMs = 4_000;

/**
 * Reads the runtime's options from standard input and asks that runtime for its features.
 * @returns the encoded RuntimeInfo; without features when the runtime cannot tell them.
 * @throws MoorError for options that are refused, or a runtime that cannot be called.
 */
export async function describeRuntime(sys: Sys, args: ShimArguments): Promise<Uint8Array> {
  const options = decodeAny(readStandardInput(sys));
  const silent = (): void => undefined;
  const log: Log = { debug: silent, info: silent, warn: silent, error: silent };
  const reaper = new Reaper(sys, log);
  must(
    sys.signalStart([SIGCHLD], () => reaper.childSignal()),
    "watch for the ends of processes",
  );
  const where = { namespace: args.namespace, bundle: "", environ: sys.environ, deadlineMs };
  const runtime = new Runtime(sys, reaper, log, runtimeConfig(await decodeOptions(sys, options), where));
  const info = {
    name: runtimeName,
    version: { version, revision: "" },
    options,
    features: await readFeatures(sys, runtime),
    annotations: {},
  };
  return RuntimeInfo.encode(info).finish();
}

async function readFeatures(sys: Sys, runtime: Runtime): Promise<Any | undefined> {
  try {
    return { typeUrl: featuresType, value: sys.encodeUtf8(await runtime.features()) };
  } catch (thrown) {
    // runc before 1.1 and others have no such command.
    if (thrown instanceof MoorError && thrown.code === "unimplemented") return undefined;
    throw thrown;
  }
}

function decodeAny(input: Uint8Array): Any | undefined {
  if (input.length === 0) return undefined;
  try {
    return Any.decode(input);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw new MoorError("invalid_argument", `decode the options on standard input: ${why}`, { cause: thrown });
  }
}
