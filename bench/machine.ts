// The facts about the machine and the programs that a figure is worth nothing without.

import { existsSync, readFileSync, statSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";
import { basename } from "node:path";
import { run } from "../test/harness/command.ts";
import type { Stage } from "./stage.ts";

export type Facts = Readonly<Record<string, string>>;

export async function machineFacts({ sides, conmon }: Stage): Promise<Facts> {
  const processors = cpus();
  const programs = await Promise.all(sides.map(({ title, program }) => describe(title, program, "-v")));
  if (conmon !== undefined) programs.push(await describe("conmon", conmon, "--version"));
  return {
    date: new Date().toISOString().slice(0, 16).replace("T", " ") + " UTC",
    system: `${systemName()}, Linux ${release()}, ${cgroups()}`,
    processor: `${processors.length} x ${processors[0]?.model ?? "unknown"}`,
    memory: `${Math.round(totalmem() / 2 ** 20)} MiB`,
    load: `${loadavg()
      .map((value) => value.toFixed(2))
      .join(" ")} (1, 5 and 15 minutes, before the run)`,
    runtime: firstLines(await output(["runc", "--version"])),
    node: process.version,
    ...Object.fromEntries(programs),
  };
}

async function describe(title: string, program: string, flag: string): Promise<[string, string]> {
  const { size } = statSync(program);
  const version = firstLines(await output([program, flag])).replace(`${program}:,`, basename(program));
  return [title, `${version}, ${size} bytes`];
}

async function output(argv: readonly string[]): Promise<string> {
  const result = await run(argv);
  return result.stdout;
}

/** Name and version; what follows (commits, versions of Go) is left out. */
function firstLines(text: string): string {
  return text
    .split("\n")
    .slice(0, 2)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("commit"))
    .join(", ");
}

function systemName(): string {
  if (!existsSync("/etc/os-release")) return "unknown system";
  return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "unknown system";
}

function cgroups(): string {
  return existsSync("/sys/fs/cgroup/cgroup.controllers") ? "cgroup version 2" : "cgroup version 1";
}
