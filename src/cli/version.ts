// `moor version`: of everything that takes part, as far as it can be asked.

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { exitCodes, textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import { findShim, shimVersion } from "./shim-program.ts";

// The build puts the workspace's version in its place.
declare const MOOR_VERSION: string;

/** Moor's own version; "unbuilt" when the sources run as they are. */
export function moorVersion(): string {
  return typeof MOOR_VERSION === "string" ? MOOR_VERSION : "unbuilt";
}

/** The keys are those of the JSON output: a stable interface. Null: there is none, or it cannot be asked. */
interface Versions {
  readonly moor: string;
  readonly node: string;
  readonly shim: string | null;
  readonly shimPath: string | null;
  readonly runtime: string | null;
  readonly daemon: string | null;
  /** What moor speaks to shims. */
  readonly taskApi: string;
}

export async function versionCommand(context: Context, format: "table" | "json"): Promise<number> {
  const [shim, runtime, daemon] = await Promise.all([askShim(context), askRuntime(context), askDaemon(context)]);
  const versions: Versions = {
    moor: moorVersion(),
    node: process.version,
    shim: shim?.version ?? null,
    shimPath: shim?.path ?? null,
    runtime,
    daemon,
    taskApi: "containerd.task.v2",
  };
  if (format === "json") {
    process.stdout.write(`${JSON.stringify(versions, undefined, 2)}\n`);
    return exitCodes.ok;
  }
  const lines = [
    `moor      ${versions.moor}`,
    `node      ${versions.node}`,
    `shim      ${shim === undefined ? "-" : `${shim.version} (${shim.path})`}`,
    `runtime   ${runtime ?? "-"}`,
    `daemon    ${daemon ?? `- (${context.settings.address})`}`,
    `task API  ${versions.taskApi}`,
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
  return exitCodes.ok;
}

async function askShim(context: Context): Promise<{ version: string; path: string } | undefined> {
  try {
    const path = findShim(context.settings.shim, context.env);
    return { version: await shimVersion(path, context.settings.timeoutMs), path };
  } catch (thrown) {
    context.log.warn(textOf(thrown));
    return undefined;
  }
}

function askRuntime(context: Context): Promise<string | null> {
  const { runtimePath, timeoutMs } = context.settings;
  return new Promise((resolve) => {
    execFile(runtimePath ?? "runc", ["--version"], { timeout: timeoutMs }, (fault, stdout) => {
      resolve(fault === null ? (stdout.split("\n")[0] ?? null) : null);
    });
  });
}

async function askDaemon(context: Context): Promise<string | null> {
  const { address, timeoutMs } = context.settings;
  if (!existsSync(address)) return null;
  const { DaemonApi } = await import("./daemon-api.ts");
  const daemon = new DaemonApi(address, timeoutMs);
  try {
    return `containerd ${(await daemon.version()).version}`;
  } catch (thrown) {
    context.log.info("the daemon does not answer", { address, error: textOf(thrown) });
    return null;
  } finally {
    daemon.close();
  }
}
