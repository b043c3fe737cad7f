// The action `-info`: what this runtime is and can do, as containerd 2.0 and later ask without a container.

import { Any } from "../api/google/protobuf/any.ts";
import { RuntimeInfo } from "../api/types.ts";
import { decodeOptions } from "../oci/options.ts";
import { Runtime, runtimeConfig } from "../oci/runtime.ts";
import type { RuntimeVersion } from "../oci/runtime-answer.ts";
import { Reaper } from "../reaper/reaper.ts";
import { MoorError, must } from "../sys/error.ts";
import { SIGCHLD } from "../sys/flags.ts";
import type { Log } from "../sys/log.ts";
import type { Sys } from "../sys/sys.d.ts";
import type { ShimArguments } from "./arguments.ts";
import { readStandardInput } from "./standard-input.ts";
import { revision, runtimeName, version } from "./version.ts";

const featuresType = "types.containerd.io/opencontainers/runtime-spec/1/features/Features";
/**
 * By this annotation containerd (2.2 and later) learns which of the mounts that its own mount manager knows the shim does
 * itself: types, separated by commas. Here none: containerd prepares its custom mounts, and what is left for the shim are
 * mounts of the kernel, or of a helper like mount.fuse.
 */
const ownMountTypes = { "containerd.io/runtime-allow-mounts": "" };
/** A daemon asks while somebody waits for it. */
const deadlineMs = 4_000;

/**
 * Reads the runtime's options from standard input and asks that runtime for its features.
 * @returns the encoded RuntimeInfo; without features when the runtime cannot tell them. Annotations beginning with
 * io.containerd.moor. tell version and revision of Moor, and name, version, commit and spec of the runtime.
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
  const [features, runtimeVersion] = await Promise.all([readFeatures(sys, runtime), readVersion(runtime)]);
  const info = {
    name: runtimeName,
    version: { version, revision },
    options,
    features,
    annotations: {
      "io.containerd.moor.version": version,
      "io.containerd.moor.revision": revision,
      ...(runtimeVersion === undefined ? {} : describeVersion(runtimeVersion)),
      ...ownMountTypes,
    },
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

/** Undefined when the runtime tells none: nothing else depends on it. */
async function readVersion(runtime: Runtime): Promise<RuntimeVersion | undefined> {
  try {
    return await runtime.version();
  } catch (thrown) {
    if (thrown instanceof MoorError) return undefined;
    throw thrown;
  }
}

function describeVersion(runtime: RuntimeVersion): Record<string, string> {
  const told = { name: runtime.name, version: runtime.version, commit: runtime.commit, spec: runtime.spec };
  const entries = Object.entries(told).filter(([, text]) => text !== "");
  return Object.fromEntries(entries.map(([key, text]) => [`io.containerd.moor.runtime.${key}`, text]));
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
