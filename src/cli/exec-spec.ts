// The OCI process of `moor exec`: the container's own (of its config.json) with what the command line changes. Names of
// users are looked up in the container's own files, as they mean nothing outside.

import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { CliError } from "./cli-error.ts";

export interface ExecChanges {
  readonly args: readonly string[];
  readonly terminal: boolean;
  /** NAME=value; a NAME alone takes our own value, if there is one. */
  readonly env: readonly string[];
  readonly cwd: string | undefined;
  /** USER[:GROUP], each a name or a number. */
  readonly user: string | undefined;
}

/** The text of a file of the container, e.g. /etc/passwd; "" where it has none. */
export type ReadOfContainer = (path: string) => string;

type JsonObject = Readonly<Record<string, unknown>>;
const largestId = 0xffff_fffe;
const maxFileBytes = 1 << 20;

/** JSON of the process. @throws CliError for a config.json without a process, and for a user that nobody knows. */
export function execSpecText(
  configText: string,
  changes: ExecChanges,
  ownEnv: NodeJS.ProcessEnv,
  read: ReadOfContainer,
): string {
  const config = parseConfig(configText);
  const env = new Map(stringsOf(config["env"]).map((entry) => [nameOf(entry), entry]));
  // As of anything that runs on a terminal; what the container or the command line says goes before it.
  if (changes.terminal && !env.has("TERM")) env.set("TERM", "TERM=xterm");
  for (const entry of changes.env) {
    if (nameOf(entry) === "") throw new CliError(`--env ${JSON.stringify(entry)} has no name`, "usage");
    const whole = entry.includes("=") ? entry : ownEnv[entry] === undefined ? undefined : `${entry}=${ownEnv[entry]}`;
    if (whole === undefined) env.delete(entry);
    else env.set(nameOf(entry), whole);
  }
  return JSON.stringify({
    ...config,
    terminal: changes.terminal,
    consoleSize: undefined,
    args: changes.args,
    env: [...env.values()],
    cwd: changes.cwd ?? config["cwd"] ?? "/",
    user: changes.user === undefined ? (config["user"] ?? { uid: 0, gid: 0 }) : userOf(changes.user, read),
  });
}

/** Reads files of the container whose process this is; a file that is none, or too long, is "". */
export function readerOf(pid: number): ReadOfContainer {
  return (path) => {
    let fd: number;
    try {
      // What the container has put there may be anything: a link out of it, a FIFO that nobody writes to.
      fd = openSync(`/proc/${pid}/root${path}`, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch {
      return "";
    }
    try {
      const { size } = fstatSync(fd);
      if (!fstatSync(fd).isFile() || size > maxFileBytes) return "";
      const buffer = Buffer.alloc(size);
      return buffer.toString("utf8", 0, readSync(fd, buffer));
    } finally {
      closeSync(fd);
    }
  };
}

function parseConfig(text: string): JsonObject {
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch (thrown) {
    throw new CliError("the container's config.json is not JSON", "failure", thrown);
  }
  const process = isObject(config) ? config["process"] : undefined;
  if (!isObject(process)) throw new CliError("the container's config.json has no process to take user and rights from");
  return process;
}

function userOf(word: string, read: ReadOfContainer): JsonObject {
  const [user = "", group, ...rest] = word.split(":");
  if (rest.length > 0 || user === "" || group === "") {
    throw new CliError(`--user ${JSON.stringify(word)}: it is USER or USER:GROUP`, "usage");
  }
  const lines = linesOf(read("/etc/passwd"));
  const entry = lines.find(([name]) => name === user) ?? lines.find(([, , uid]) => uid === user);
  const uid = entry === undefined ? numberOf(user) : numberOf(entry[2] ?? "");
  if (uid === undefined) throw new CliError(`--user ${user}: the container's /etc/passwd has no such user`);
  const groups = linesOf(read("/etc/group"));
  if (group !== undefined) return { uid, gid: groupOf(group, groups) };
  const name = entry?.[0];
  const also = groups.filter(([, , , members = ""]) => name !== undefined && members.split(",").includes(name));
  const additionalGids = also.map(([, , gid = ""]) => numberOf(gid)).filter((gid) => gid !== undefined);
  return { uid, gid: numberOf(entry?.[3] ?? "0") ?? 0, ...(additionalGids.length > 0 ? { additionalGids } : {}) };
}

function groupOf(word: string, groups: readonly string[][]): number {
  const gid = numberOf(groups.find(([name]) => name === word)?.[2] ?? word);
  if (gid !== undefined) return gid;
  throw new CliError(`--user: the container's /etc/group has no group ${word}`);
}

function linesOf(text: string): string[][] {
  return text.split("\n").map((line) => line.split(":"));
}

function numberOf(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) && Number(text) <= largestId ? Number(text) : undefined;
}

function nameOf(entry: string): string {
  return entry.split("=", 1)[0] ?? "";
}

function stringsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each): each is string => typeof each === "string") : [];
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
