// What becomes of the three stdio addresses of a request, before anything is opened: a pure reading of strings, so that a
// bad one is refused with its name and nothing has to be undone. The forms are those of containerd's clients.

import { MoorError } from "../sys/error.ts";
import { quoted } from "../sys/quoted.ts";

/** Where one stream comes from or goes to. */
export type StreamPlan =
  /** Nowhere: the process has /dev/null. */
  | { readonly kind: "none" }
  /** Something that is there: a FIFO as a rule, or a file or device that is opened as it is. */
  | { readonly kind: "path"; readonly path: string }
  /** A log file, made with its folder when it is missing, and appended to. */
  | { readonly kind: "file"; readonly path: string }
  | LoggerPlan;

/** A program that reads the output of one process. */
export interface LoggerPlan {
  readonly kind: "logger";
  /** 1: end of file on its ready fd counts as ready; 2: it must write a byte. */
  readonly version: 1 | 2;
  readonly file: string;
  /** Without argv[0]. */
  readonly args: readonly string[];
}

export interface StdioPlan {
  readonly stdin: StreamPlan;
  readonly stdout: StreamPlan;
  readonly stderr: StreamPlan;
}

/** Of a scheme in an error. */
const longestScheme = 40;

const none: StreamPlan = { kind: "none" };

/**
 * Reads the addresses. With a terminal there is one output, stdout's; an address of stderr is only looked at, as
 * containerd's helpers for loggers fill in both. A logger takes both outputs, also when stderr's address is empty, as the
 * stock shim has it.
 * @throws MoorError invalid_argument that names the stream, the address and what is wrong with it.
 */
export function planStdio(addresses: {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}): StdioPlan {
  const stdin = planStream("stdin", addresses.stdin);
  if (stdin.kind !== "none" && stdin.kind !== "path") {
    throw refusal("stdin", addresses.stdin, "only output can go there");
  }
  const stdout = planStream("stdout", addresses.stdout);
  const stderr = planStream("stderr", addresses.stderr);
  if (addresses.terminal) return { stdin, stdout, stderr: none };
  if (stdout.kind !== "logger" && stderr.kind !== "logger") return { stdin, stdout, stderr };
  if (addresses.stderr !== "" && addresses.stderr !== addresses.stdout) {
    throw refusal("stderr", addresses.stderr, "a logger takes both outputs, so that stdout must have the same address");
  }
  return { stdin, stdout, stderr: stdout };
}

function planStream(stream: string, address: string): StreamPlan {
  if (address === "") return none;
  if (address.includes("\0")) throw refusal(stream, address, "it holds a zero byte");
  const scheme = /^[A-Za-z][A-Za-z0-9+.-]*(?=:)/.exec(address)?.[0];
  if (scheme === undefined) {
    if (!address.startsWith("/")) throw refusal(stream, address, "it is no absolute path");
    return { kind: "path", path: address };
  }
  const kind = schemes.get(scheme.toLowerCase());
  if (kind === undefined) throw refusal(stream, address, `unknown scheme ${scheme.slice(0, longestScheme)}`);
  const { path, query } = splitUri(stream, address, address.slice(scheme.length + 1));
  if (typeof kind === "number") {
    return { kind: "logger", version: kind, file: path, args: queryArgs(stream, address, query) };
  }
  if (query !== "") throw refusal(stream, address, "it takes no options");
  return { kind, path };
}

/** A number is the version of a logger's contract. */
type Kind = "path" | "file" | LoggerPlan["version"];

/** What each scheme stands for. */
const schemes: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ["fifo", "path"],
  ["file", "file"],
  ["binary", 1],
  ["binary-v2", 2],
]);

interface Uri {
  /** Absolute, decoded. */
  readonly path: string;
  /** As it stands; "" for none. */
  readonly query: string;
}

/** What follows the scheme's colon. A fragment says nothing to us and is left out, as by the stock shim. */
function splitUri(stream: string, address: string, rest: string): Uri {
  const [whole = ""] = rest.split("#", 1);
  const mark = whole.indexOf("?");
  const hierarchy = mark < 0 ? whole : whole.slice(0, mark);
  // Before the path there may be a host. It has no meaning here, and with two slashes only it is half of a path.
  const path = hierarchy.startsWith("//") ? hierarchy.slice(2) : hierarchy;
  if (!path.startsWith("/"))
    throw refusal(stream, address, "its path is not absolute (file:///var/log/x has three slashes)");
  return { path: decode(stream, address, path), query: mark < 0 ? "" : whole.slice(mark + 1) };
}

/** key, value, key, value...: the first value of each key, in the order of their first appearance. */
function queryArgs(stream: string, address: string, query: string): readonly string[] {
  const values = new Map<string, string>();
  for (const pair of query.split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const word = (text: string): string => decode(stream, address, text.replaceAll("+", " "));
    const key = word(equals < 0 ? pair : pair.slice(0, equals));
    if (!values.has(key)) values.set(key, equals < 0 ? "" : word(pair.slice(equals + 1)));
  }
  return [...values].flat();
}

function decode(stream: string, address: string, text: string): string {
  let decoded: string;
  try {
    decoded = decodeURIComponent(text);
  } catch (thrown) {
    if (thrown instanceof URIError)
      throw refusal(stream, address, "a % in it is not followed by the two digits of UTF-8");
    throw thrown;
  }
  if (decoded.includes("\0")) throw refusal(stream, address, "it holds a zero byte");
  return decoded;
}

function refusal(stream: string, address: string, why: string): MoorError {
  return new MoorError("invalid_argument", `${stream} address ${quoted(address)}: ${why}`);
}
