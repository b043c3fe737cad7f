// The shim's command line: Go's flag forms (-flag value, -flag=value, --flag) before one action word, as every
// containerd passes them. Pure: text in, a plain object or an error out.

import { MoorError } from "../sys/error.ts";
import { quoted } from "../sys/quoted.ts";
import { shown } from "./identifier.ts";

export type Action = "start" | "delete" | "info" | "version" | "help";

export interface ShimArguments {
  readonly action: Action;
  readonly namespace: string;
  /** The id of the container (or pod) this shim is for. */
  readonly id: string;
  /** GRPC address of the daemon: part of the socket's name. */
  readonly address: string;
  /** The bundle, for `delete`; empty elsewhere. */
  readonly bundle: string;
  readonly publishBinary: string;
  readonly debug: boolean;
}

const textFlags = ["namespace", "id", "address", "bundle", "publish-binary", "socket"] as const;
const boolFlags = ["debug", "v", "version", "info", "h", "help"] as const;
type TextFlag = (typeof textFlags)[number];
type BoolFlag = (typeof boolFlags)[number];

/**
 * Reads the arguments after argv[0].
 * @throws MoorError invalid_argument for an unknown flag, a flag without value, or an unknown or missing action.
 */
export function parseArguments(words: readonly string[]): ShimArguments {
  const text: Partial<Record<TextFlag, string>> = {};
  const on = new Set<BoolFlag>();
  let index = 0;
  for (; index < words.length; index++) {
    const word = words[index] as string;
    if (!word.startsWith("-") || word === "-") break;
    if (word === "--") {
      index++;
      break;
    }
    const { name, value } = splitFlag(word);
    if (isOneOf(boolFlags, name)) {
      if (readBool(name, value)) on.add(name);
      continue;
    }
    if (!isOneOf(textFlags, name)) throw new MoorError("invalid_argument", `unknown flag -${shown(name)}`);
    const given = value ?? words[++index];
    if (given === undefined) throw new MoorError("invalid_argument", `flag -${name} needs a value`);
    text[name] = given;
  }
  return {
    action: readAction(on, words.slice(index)),
    namespace: text.namespace ?? "",
    id: text.id ?? "",
    address: text.address ?? "",
    bundle: text.bundle ?? "",
    publishBinary: text["publish-binary"] ?? "",
    debug: on.has("debug"),
  };
}

function splitFlag(word: string): { name: string; value: string | undefined } {
  const bare = word.startsWith("--") ? word.slice(2) : word.slice(1);
  const equals = bare.indexOf("=");
  if (equals < 0) return { name: bare, value: undefined };
  return { name: bare.slice(0, equals), value: bare.slice(equals + 1) };
}

// Go's flag package takes these words for a boolean flag.
function readBool(name: string, value: string | undefined): boolean {
  if (value === undefined || ["1", "t", "T", "true", "TRUE", "True"].includes(value)) return true;
  if (["0", "f", "F", "false", "FALSE", "False"].includes(value)) return false;
  throw new MoorError("invalid_argument", `flag -${name} takes true or false, not ${quoted(value)}`);
}

function readAction(on: ReadonlySet<BoolFlag>, rest: readonly string[]): Action {
  if (on.has("h") || on.has("help")) return "help";
  if (on.has("v") || on.has("version")) return "version";
  if (on.has("info")) return "info";
  const word = rest[0];
  if (word === "start" || word === "delete") return word;
  if (word === undefined) throw new MoorError("invalid_argument", "no action given: start, delete, -info or -v");
  throw new MoorError("invalid_argument", `unknown action ${quoted(word)}: start or delete`);
}

function isOneOf<T extends string>(set: readonly T[], word: string): word is T {
  return (set as readonly string[]).includes(word);
}
