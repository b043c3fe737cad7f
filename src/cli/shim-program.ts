// The shim's binary, called as a daemon calls it: `start` in the bundle's folder with an empty standard input, its
// address read from the output; `delete` when everything else is over.

import { spawn } from "node:child_process";
import { accessSync, constants, existsSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { DeleteResponse } from "../api/task.ts";
import { CliError, errnoOf, textOf } from "./cli-error.ts";

export const shimName = "containerd-shim-moor-v2";

// What a daemon would say to a shim: here nobody is to be told anything, and an inherited value would be another's.
const daemonVariables = [
  "TTRPC_ADDRESS",
  "GRPC_ADDRESS",
  "NAMESPACE",
  "MAX_SHIM_VERSION",
  "SCHED_CORE",
  "NOTIFY_SOCKET",
];
const listenVariables = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];
const firstListenFd = 3;

/** Which container a call is about. `address` takes a daemon's place in the name of the shim's socket. */
export interface ShimCall {
  readonly program: string;
  readonly namespace: string;
  readonly id: string;
  readonly bundle: string;
  readonly address: string;
  readonly debug: boolean;
  readonly timeoutMs: number;
}

/**
 * The file of the shim: the one named, else beside this command (in the build, or where `make install` puts it), else
 * in PATH.
 * @throws CliError when there is none.
 */
export function findShim(named: string | undefined, env: NodeJS.ProcessEnv): string {
  const search = (env["PATH"] ?? "").split(delimiter).filter((dir) => dir !== "");
  if (named !== undefined) {
    const found = named.includes("/") ? named : search.map((dir) => join(dir, named)).find(isProgram);
    if (found !== undefined && isProgram(found)) return found;
    throw new CliError(`the shim ${named} is no program that can be run`);
  }
  // Of the command that was called, past links: build/cli, or lib/moor of an installation.
  const here = dirname(realpathSync(process.argv[1] ?? process.execPath));
  const near = [here, join(here, ".."), join(here, "../../bin")];
  const places = [...near, ...search].map((dir) => join(dir, shimName));
  const found = places.find(isProgram);
  if (found !== undefined) return found;
  throw new CliError(`${shimName} is neither beside this command nor in PATH: name it with --shim`);
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** How many sockets were passed to this process by the LISTEN_FDS protocol (sd_listen_fds(3)). */
export function passedSockets(env: NodeJS.ProcessEnv, pid: number): number {
  if (env["LISTEN_PID"] !== String(pid)) return 0;
  const count = Number(env["LISTEN_FDS"]);
  return Number.isInteger(count) && count > 0 && count < 1024 ? count : 0;
}

/**
 * Starts a shim and returns its address.
 * @param sockets file descriptors 3 to 3+sockets-1 are left open for the container; the shim learns their number from
 *   MOOR_LISTEN_FDS, a name of its own because LISTEN_FDS may reach a shim by accident from a socket-activated daemon.
 * @throws CliError with what the shim said when it fails, says something else than an address, or takes too long.
 */
export async function startShim(call: ShimCall, sockets: number): Promise<string> {
  const env = { ...shimEnvironment(), ...(sockets > 0 ? { MOOR_LISTEN_FDS: String(sockets) } : {}) };
  const answer = await runShim(call, ["start"], env, sockets, "together");
  const address = answer.toString("utf8").trim();
  if (/^(unix:\/\/)?\/\S+$/.test(address)) return address;
  throw new CliError(`${call.program} start answered ${JSON.stringify(address.slice(0, 500))} instead of an address`);
}

/** Has the shim's binary clean up after the container, as a daemon does last of all. @throws CliError. */
export async function deleteByShim(call: ShimCall): Promise<DeleteResponse> {
  const answer = await runShim(call, ["-bundle", call.bundle, "delete"], shimEnvironment(), 0, "apart");
  return DeleteResponse.decode(answer);
}

/** The first line of the shim's `-v`. @throws CliError. */
export async function shimVersion(program: string, timeoutMs: number): Promise<string> {
  const call = { program, namespace: "", id: "", bundle: "/", address: "", debug: false, timeoutMs };
  const text = (await collect(call, ["-v"], shimEnvironment(), 0, "together")).toString("utf8");
  return text.trim().split("\n")[0] ?? "";
}

function shimEnvironment(): NodeJS.ProcessEnv {
  const env = { ...process.env };
  for (const name of [...daemonVariables, ...listenVariables]) delete env[name];
  return env;
}

function runShim(
  call: ShimCall,
  action: readonly string[],
  env: NodeJS.ProcessEnv,
  sockets: number,
  output: "together" | "apart",
): Promise<Buffer> {
  const identity = ["-namespace", call.namespace, "-address", call.address, "-publish-binary", "", "-id", call.id];
  return collect(call, [...identity, ...(call.debug ? ["-debug"] : []), ...action], env, sockets, output);
}

function collect(
  call: ShimCall,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  sockets: number,
  output: "together" | "apart",
): Promise<Buffer> {
  const action = args.at(-1) as string;
  const what = `${call.program} ${action}`;
  // A folder that is gone would make spawn say that the program is.
  const cwd = existsSync(call.bundle) ? call.bundle : "/";
  return new Promise((resolve, reject) => {
    const inherited = Array.from({ length: sockets }, (_, i) => firstListenFd + i);
    const child = spawn(call.program, args, { cwd, env, stdio: ["ignore", "pipe", "pipe", ...inherited] });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      child.stdout?.destroy();
      child.stderr?.destroy();
      reject(new CliError(`${what} did not end within ${call.timeoutMs} ms`));
    }, call.timeoutMs);
    child.stdout?.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr?.on("data", (chunk: Buffer) => (output === "together" ? out : err).push(chunk));
    child.on("error", (cause) => {
      clearTimeout(timer);
      reject(new CliError(`${what}: ${errnoOf(cause) ?? textOf(cause)}`, "failure", cause));
    });
    child.on("close", (status, signal) => {
      clearTimeout(timer);
      if (status === 0) return resolve(Buffer.concat(out));
      const said = Buffer.concat([...err, ...out])
        .toString("utf8")
        .trim();
      reject(new CliError(`${what} ended with ${signal ?? `status ${status}`}${said === "" ? "" : `: ${said}`}`));
    });
  });
}
