// `moor debug ID [-- CMD]`: the host's tools in a container's namespaces, for images that have none. nsenter(1) joins the
// container's network, IPC, UTS and pid namespaces; a mount namespace of the shell's own gets a /proc that shows what the
// shell can see; the container's files are the current folder. On a terminal it runs on a PTY of its own (node-pty), which
// can be recorded.

import { spawn } from "node:child_process";
import { constants } from "node:os";
import { readlinkSync } from "node:fs";
import { Recording } from "./asciicast.ts";
import { CliError, exitCodes, textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import { standingOf } from "./inspect.ts";
import { findContainer } from "./inventory.ts";
import { textOfFile } from "./proc-figures.ts";
import { makeRaw, windowSize } from "./raw-terminal.ts";

const namespaces = ["net", "ipc", "uts", "pid"] as const;
const plainSize = { columns: 80, rows: 24 };
const endOfInput = "\u0004";

/** Ends with the command's status. @throws CliError when there is no process whose namespaces could be joined. */
export async function debugCommand(
  context: Context,
  word: string,
  words: readonly string[],
  record: string | undefined,
): Promise<number> {
  const container = findContainer(word, context.settings);
  const { pid, status } = await standingOf(container, context.settings.timeoutMs);
  if (pid === 0 || (status !== "running" && status !== "paused" && status !== "created" && status !== "orphaned")) {
    throw new CliError(`${container.id} is ${status}: there is no process whose namespaces could be joined`);
  }
  const shell = context.env["SHELL"] ?? "/bin/sh";
  const isPlain = !process.stdin.isTTY && record === undefined;
  const call = enterCall(pid, words.length > 0 ? words : [shell], !isPlain);
  const env = { ...context.env, MOOR_CONTAINER: container.id, MOOR_CONTAINER_ROOT: call.root };
  const size = windowSize() ?? plainSize;
  if (isPlain) return await runPlainly(call.argv, env);
  const title = `moor debug ${container.id}`;
  const recording = record === undefined ? undefined : new Recording(record, title, size.columns, size.rows);
  try {
    return await runOnTerminal(call.argv, env, size, recording);
  } finally {
    recording?.close();
  }
}

/** The command line that enters, and where the container's files are for what runs there. */
function enterCall(pid: number, words: readonly string[], onTerminal: boolean): { argv: string[]; root: string } {
  const own = namespaces.filter((name) => linkOf(`/proc/${pid}/ns/${name}`) !== linkOf(`/proc/self/ns/${name}`));
  // The pid as it is called inside; with the host's pid namespace the same as outside.
  const inner = /^NSpid:.*?(\d+)$/m.exec(textOfFile(`/proc/${pid}/status`) ?? "")?.[1] ?? String(pid);
  const joinsPids = own.includes("pid");
  const root = `/proc/${joinsPids ? inner : pid}/root`;
  const mountProc = joinsPids ? "mount -t proc proc /proc || exit 125; " : "";
  // Its process group is outside of the pid namespace, where a shell cannot give the terminal back to it: it gets a session
  // of its own inside.
  const script = `${mountProc}cd "$MOOR_CONTAINER_ROOT" || exit 125; exec ${onTerminal ? "setsid --ctty --wait " : ""}"$@"`;
  const flags = own.map((name) => `--${name}`);
  const enter = flags.length > 0 ? ["nsenter", "--target", String(pid), ...flags, "--"] : [];
  const apart = ["unshare", "--mount", "--propagation", "private", "--"];
  return { argv: [...enter, ...apart, "/bin/sh", "-c", script, "moor-debug", ...words], root };
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch (thrown) {
    throw new CliError(`look at the namespaces: ${textOf(thrown)}`, "failure", thrown);
  }
}

function runPlainly(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const [file = "", ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env, stdio: "inherit" });
    // A Ctrl-C is the command's to take; we end when it ends.
    const ignore = (): void => undefined;
    process.on("SIGINT", ignore);
    child.on("error", (fault) => reject(new CliError(`run ${file}: ${fault.message}`, "failure", fault)));
    child.on("close", (status, signal) => {
      process.removeListener("SIGINT", ignore);
      resolve(status ?? exitCodes.signalBase + constants.signals[signal ?? "SIGKILL"]);
    });
  });
}

async function runOnTerminal(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  size: { readonly columns: number; readonly rows: number },
  recording: Recording | undefined,
): Promise<number> {
  const pty = await loadPty();
  const undo = process.stdin.isTTY ? makeRaw() : undefined;
  const [file = "", ...args] = argv;
  const terminal = pty.spawn(file, args, { cols: size.columns, rows: size.rows, env: env as Record<string, string> });
  const resize = (): void => {
    const now = windowSize();
    if (now === undefined) return;
    terminal.resize(now.columns, now.rows);
    recording?.resized(now.columns, now.rows);
  };
  const type = (chunk: Buffer): void => terminal.write(chunk.toString("utf8"));
  const noMore = (): void => terminal.write(endOfInput);
  process.stdout.on("resize", resize);
  process.stdin.on("data", type);
  process.stdin.on("end", noMore);
  terminal.onData((text) => {
    recording?.shown(text);
    if (process.stdout.write(text)) return;
    terminal.pause();
    process.stdout.once("drain", () => terminal.resume());
  });
  try {
    const { exitCode, signal } = await new Promise<{ exitCode: number; signal?: number | undefined }>((resolve) => {
      terminal.onExit(resolve);
    });
    return signal === undefined || signal === 0 ? exitCode : exitCodes.signalBase + signal;
  } finally {
    process.stdout.removeListener("resize", resize);
    process.stdin.removeListener("data", type);
    process.stdin.removeListener("end", noMore);
    process.stdin.pause();
    undo?.();
  }
}

async function loadPty(): Promise<typeof import("node-pty")> {
  try {
    return await import("node-pty");
  } catch (thrown) {
    const text = `moor's part for terminals (node-pty) cannot be loaded: ${textOf(thrown).split("\n")[0]}`;
    throw new CliError(`${text}; without a terminal, as in moor debug ID -- CMD < /dev/null, none is needed`);
  }
}
