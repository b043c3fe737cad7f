// What every command is told: flag before environment before configuration file before default, as operators know it
// from nerdctl and crictl. Pure but for reading the file.

import { readFileSync } from "node:fs";
import { CliError, errnoOf, textOf } from "./cli-error.ts";
import { defaultDetachKeys } from "./detach-keys.ts";
import { parseDuration } from "./duration.ts";

/** The global flags as commander hands them over. */
export interface GlobalFlags {
  readonly address?: string;
  readonly namespace?: string;
  readonly root?: string;
  readonly containerdState?: string;
  readonly shim?: string;
  readonly config?: string;
  readonly timeout?: string;
  readonly debug?: boolean;
  readonly logLevel?: string;
  readonly logFormat?: string;
  readonly color?: string;
}

export const logLevels = ["error", "warn", "info", "debug"] as const;
export type LogLevel = (typeof logLevels)[number];
export const colorChoices = ["auto", "always", "never"] as const;
export type ColorChoice = (typeof colorChoices)[number];
const logFormats = ["text", "json"] as const;

export interface Settings {
  /** containerd's gRPC socket. */
  readonly address: string;
  /** Undefined: every namespace for what is looked up, `moor` for what is run. */
  readonly namespace: string | undefined;
  /** Where the containers without a daemon have their state folders. */
  readonly root: string;
  /** containerd's state folder, in which it keeps its bundles. */
  readonly containerdState: string;
  /** The shim's file; undefined: beside the command, then in PATH. */
  readonly shim: string | undefined;
  /** The OCI runtime; undefined: what the shim takes by default. */
  readonly runtimePath: string | undefined;
  /** For each request to a shim or the daemon that does not wait for a container. */
  readonly timeoutMs: number;
  readonly detachKeys: string;
  readonly logLevel: LogLevel;
  readonly logFormat: "text" | "json";
  readonly color: ColorChoice;
}

/** Namespace of the containers that `moor run` starts unless told otherwise. */
export const ownNamespace = "moor";
export const defaultConfigFile = "/etc/moor/moor.toml";

const fileKeys = [
  "address",
  "namespace",
  "root",
  "containerd-state",
  "shim",
  "runtime-path",
  "timeout",
  "detach-keys",
  "log-level",
  "log-format",
  "color",
] as const;
type FileKey = (typeof fileKeys)[number];
export type ConfigFile = Readonly<Partial<Record<FileKey, string>>>;

/** Puts the sources together. @throws CliError usage for a value that makes no sense, wherever it came from. */
export function settingsOf(flags: GlobalFlags, env: NodeJS.ProcessEnv, file: ConfigFile): Settings {
  const pick = (flag: string | undefined, variable: string, key: FileKey): string | undefined =>
    flag ?? nonEmpty(env[variable]) ?? file[key];
  const level = flags.debug === true ? "debug" : (flags.logLevel ?? file["log-level"] ?? "warn");
  return {
    address: socketPathOf(pick(flags.address, "CONTAINERD_ADDRESS", "address") ?? "/run/containerd/containerd.sock"),
    namespace: pick(flags.namespace, "CONTAINERD_NAMESPACE", "namespace"),
    root: absolute("--root", pick(flags.root, "MOOR_ROOT", "root") ?? "/run/moor"),
    containerdState: absolute(
      "--containerd-state",
      flags.containerdState ?? file["containerd-state"] ?? "/run/containerd",
    ),
    shim: pick(flags.shim, "MOOR_SHIM", "shim"),
    runtimePath: file["runtime-path"],
    timeoutMs: parseDuration(flags.timeout ?? file.timeout ?? "10s"),
    detachKeys: file["detach-keys"] ?? defaultDetachKeys,
    logLevel: oneOf("log level", level, logLevels),
    logFormat: oneOf("log format", flags.logFormat ?? file["log-format"] ?? "text", logFormats),
    color: oneOf("color", flags.color ?? file.color ?? "auto", colorChoices),
  };
}

/**
 * The configuration file: the one that was named, or /etc/moor/moor.toml when there is one.
 * @throws CliError when it cannot be read, is not TOML, or holds what nobody knows.
 */
export async function readConfigFile(named: string | undefined): Promise<ConfigFile> {
  const path = named ?? defaultConfigFile;
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (thrown) {
    if (named === undefined && errnoOf(thrown) === "ENOENT") return {};
    throw new CliError(`read the configuration ${path}: ${errnoOf(thrown) ?? textOf(thrown)}`, "usage", thrown);
  }
  const { parse } = await import("smol-toml");
  let table: Record<string, unknown>;
  try {
    table = parse(text);
  } catch (thrown) {
    throw new CliError(`the configuration ${path} is not TOML: ${textOf(thrown).split("\n")[0]}`, "usage", thrown);
  }
  return checkConfig(path, table);
}

/** @throws CliError usage naming the key. */
export function checkConfig(path: string, table: Readonly<Record<string, unknown>>): ConfigFile {
  for (const [key, value] of Object.entries(table)) {
    if (!(fileKeys as readonly string[]).includes(key)) {
      throw new CliError(`the configuration ${path} holds ${JSON.stringify(key)}, which is no setting`, "usage");
    }
    if (typeof value !== "string") throw new CliError(`the configuration ${path}: ${key} must be a string`, "usage");
  }
  return table as ConfigFile;
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

function socketPathOf(address: string): string {
  return address.startsWith("unix://") ? address.slice("unix://".length) : address;
}

function absolute(what: string, path: string): string {
  if (path.startsWith("/")) return path.length > 1 ? path.replace(/\/+$/, "") : path;
  throw new CliError(`${what} ${JSON.stringify(path)}: an absolute path is needed`, "usage");
}

function oneOf<T extends string>(what: string, value: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  throw new CliError(`${what} ${JSON.stringify(value)}: it is one of ${choices.join(", ")}`, "usage");
}
