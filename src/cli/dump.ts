// `moor dump ID`: a support bundle of one container and its shim: what the Task API, the bundle, /proc and the cgroup tell.
// Values of environment variables are masked; nothing is changed, and no signal is sent.

import { readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { CliError, exitCodes, textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import { openShim, standingOf } from "./inspect.ts";
import { addressOf, findContainer } from "./inventory.ts";
import { usageOf } from "./metrics.ts";
import { programOf } from "./proc.ts";
import { cgroupLinesOf, memoryOf, startedAt, textOfFile, wordsOf } from "./proc-figures.ts";
import { execIdOf } from "./processes.ts";
import { kindOf } from "./shim-processes.ts";
import { ShimVersions } from "./shim-versions.ts";
import { type TarFile, tarOf } from "./tar.ts";
import { moorVersion } from "./version.ts";

const mostBytes = 1 << 20;
const processFiles = [
  "status",
  "stat",
  "limits",
  "cgroup",
  "mountinfo",
  "maps",
  "smaps_rollup",
  "wchan",
  "stack",
  "io",
];
const bundleFiles = ["exits.json", "moor.json", "address", "init.pid", "shim-binary-path", "options.json", "runtime"];

const about = `A support bundle of moor, to be read by people.

container.json   the container and its shim, as the Task API tells (State, Connect, Pids, Stats)
spec.json        the bundle's config.json; values of environment variables are masked, arguments are as they are
bundle/          small files of the bundle
shim/, init/     of /proc: status, maps, limits, mounts, open files (fds.txt)
cgroup/          the files of the container's cgroup, by controller where there are several
machine/         versions of the kernel, of moor, of the shim

Not in it: the shim's log, which is the daemon's (journalctl -u containerd; SIGUSR1 makes a shim write its state there),
the container's output, and what its processes hold in memory.
`;

/** Writes the bundle and prints its name. @throws CliError when there is no such container, or no room. */
export async function dumpCommand(context: Context, word: string, output: string | undefined): Promise<number> {
  const container = findContainer(word, context.settings);
  const { id, namespace, bundle } = container;
  const standing = await standingOf(container, context.settings.timeoutMs);
  const { shimPid, pid } = standing;
  const versions = new ShimVersions(context.settings.timeoutMs);
  const files: TarFile[] = [];
  const add = (name: string, text: string | undefined): void => {
    if (text !== undefined && text !== "") files.push({ name: `moor-dump/${name}`, bytes: Buffer.from(text) });
  };
  add("README", about);
  const shim =
    shimPid === undefined
      ? null
      : {
          pid: shimPid,
          kind: kindOf(programOf(shimPid)),
          program: programOf(shimPid),
          version: (await versions.of(shimPid)) ?? null,
          memory: memoryOf(shimPid) ?? null,
          since: startedAt(shimPid) ?? null,
          address: addressOf(container) ?? null,
        };
  const asked = await askShim(context, container);
  add("container.json", json({ id, namespace, bundle, owner: container.owner, ...standing, shim, ...asked }));
  add("spec.json", maskedSpec(textOfFile(join(bundle, "config.json"))));
  for (const name of bundleFiles) add(`bundle/${name}`, smallText(join(bundle, name)));
  for (const [name, each] of [
    ["shim", shimPid ?? 0],
    ["init", pid],
  ] as const) {
    if (each === 0) continue;
    for (const file of processFiles) add(`${name}/${file}`, smallText(`/proc/${each}/${file}`));
    add(`${name}/fds.txt`, fdsOf(each));
  }
  if (pid !== 0) for (const [name, text] of cgroupFiles(pid)) add(`cgroup/${name}`, text);
  add("machine/kernel", smallText("/proc/version"));
  add("machine/moor.json", json({ moor: moorVersion(), node: process.version, shim: shim?.version ?? null }));
  write(files, output ?? `moor-${id}-${new Date().toISOString().replaceAll(/[:.]/g, "")}.tar.gz`);
  return exitCodes.ok;
}

function write(files: readonly TarFile[], output: string): void {
  const archive = gzipSync(tarOf(files, Date.now() / 1000));
  if (output === "-") {
    if (process.stdout.isTTY) throw new CliError("an archive is nothing for a terminal: name a file with -o", "usage");
    process.stdout.write(archive);
    return;
  }
  // Whose it is alone: a specification may say more than everybody should know. An existing file is not ours to replace.
  writeFileSync(output, archive, { mode: 0o600, flag: "wx" });
  process.stdout.write(`${output}\n`);
}

async function askShim(context: Context, container: Parameters<typeof openShim>[0]): Promise<Record<string, unknown>> {
  const client = await openShim(container, context.settings.timeoutMs);
  if (client === undefined) return {};
  const or = <T>(answer: Promise<T>): Promise<T | { fault: string }> =>
    answer.catch((thrown: unknown) => ({ fault: textOf(thrown) }));
  try {
    const processes = await or(
      client
        .pids(container.id)
        .then((all) =>
          all.map((each) => ({ pid: each.pid, exec: execIdOf(each), command: wordsOf(each.pid) ?? null })),
        ),
    );
    const stats = await or(client.stats(container.id).then((any) => usageOf(any) ?? null));
    return { processes, stats };
  } finally {
    client.close();
  }
}

/** The specification with every variable's value masked, wherever there is a list of variables. */
export function maskedSpec(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const mask = (key: string, value: unknown): unknown => {
    if (key !== "env" || !Array.isArray(value)) return value;
    return value.map((each) => String(each).replace(/=.*$/s, "=***"));
  };
  try {
    return `${JSON.stringify(JSON.parse(text, mask), undefined, 2)}\n`;
  } catch (thrown) {
    // What cannot be read cannot be masked.
    return `config.json is no JSON, and left out: ${textOf(thrown).split("\n")[0]?.slice(0, 40)}\n`;
  }
}

function json(value: unknown): string {
  const plain = (_key: string, each: unknown): unknown => (typeof each === "bigint" ? each.toString() : each);
  return `${JSON.stringify(value, plain, 2)}\n`;
}

function smallText(path: string): string | undefined {
  try {
    const text = readFileSync(path);
    return text.subarray(0, mostBytes).toString("utf8");
  } catch {
    // Not there, gone, or one of the kernel's that cannot be read.
    return undefined;
  }
}

function fdsOf(pid: number): string | undefined {
  try {
    return readdirSync(`/proc/${pid}/fd`)
      .map((fd) => `${fd}\t${linkOf(`/proc/${pid}/fd/${fd}`)}\t${accessOf(pid, fd)}\n`)
      .join("");
  } catch {
    return undefined;
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "?";
  }
}

function accessOf(pid: number, fd: string): string {
  return /^flags:\s+(\d+)$/m.exec(textOfFile(`/proc/${pid}/fdinfo/${fd}`) ?? "")?.[1] ?? "?";
}

/** Every readable file of a process's cgroups, by "controller/file" or, with cgroups of version 2, by file. */
function cgroupFiles(pid: number): [string, string][] {
  return cgroupLinesOf(pid).flatMap((line) => {
    const [number = "", controllers = "", ...rest] = line.split(":");
    const unified = number === "0";
    const name = controllers.replace(/^name=/, "");
    const tops = unified ? ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] : [join("/sys/fs/cgroup", name)];
    const dir = tops.map((top) => join(top, rest.join(":"))).find((each) => isFolder(each));
    // The root cgroup holds the whole machine, and is nobody's own.
    if (dir === undefined || rest.join(":") === "/") return [];
    return readdirSync(dir, { withFileTypes: true })
      .filter((entry) => entry.isFile() && !/event_control|numa_stat/.test(entry.name))
      .flatMap((entry): [string, string][] => {
        const text = smallText(join(dir, entry.name));
        return text === undefined ? [] : [[unified ? entry.name : `${name}/${entry.name}`, text]];
      });
  });
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
