// moor doctor's look at the machine: the runtime, the shim, cgroups, the daemon and the settings of its unit.

import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import type { Seen } from "./doctor-shims.ts";
import { type Finding, ok } from "./finding.ts";
import { textOfFile } from "./proc-figures.ts";
import { findShim, shimVersion } from "./shim-program.ts";

const unitName = "containerd.service";
// In the order of systemd.unit(5): what comes first covers what comes later.
const unitFolders = [
  "/etc/systemd/system",
  "/run/systemd/system",
  "/usr/local/lib/systemd/system",
  "/usr/lib/systemd/system",
  "/lib/systemd/system",
];

export async function checkMachine(context: Context, seen: Seen, units: string | undefined): Promise<Finding[]> {
  const [runtime, shim, unit] = await Promise.all([checkRuntime(context), checkShim(context), checkUnit(units)]);
  return [runtime, shim, ...checkCgroups(seen), checkDaemon(context, seen), ...unit];
}

async function checkRuntime(context: Context): Promise<Finding> {
  const program = context.settings.runtimePath ?? "runc";
  const answer = await output(program, ["--version"], context.settings.timeoutMs);
  if (answer !== undefined) return ok("runtime", program, answer.split("\n")[0] ?? "");
  return {
    check: "runtime",
    grade: "problem",
    subject: program,
    what: "it cannot be run",
    meaning: "no container can be started with it",
    command: "apt-get install runc   # or name another by runtime-path in /etc/moor/moor.toml",
  };
}

async function checkShim(context: Context): Promise<Finding> {
  try {
    const path = findShim(context.settings.shim, context.env);
    return ok("shim", path, await shimVersion(path, context.settings.timeoutMs));
  } catch (thrown) {
    const meaning = "moor run cannot start containers; a daemon finds its own shim in its own PATH";
    const command = "make install   # or name it by --shim";
    return { check: "shim", grade: "problem", subject: "machine", what: textOf(thrown), meaning, command };
  }
}

/** Which version of cgroups, and who manages them: the driver shows in the form of the containers' cgroupsPath. */
function checkCgroups(seen: Seen): Finding[] {
  const unified = existsSync("/sys/fs/cgroup/cgroup.controllers");
  const hybrid = !unified && existsSync("/sys/fs/cgroup/unified/cgroup.controllers");
  const bySystemd = existsSync("/run/systemd/system");
  const text = `version ${unified ? "2" : hybrid ? "1, with 2 beside it" : "1"}, systemd ${bySystemd ? "runs" : "does not run"}`;
  const findings = [ok("cgroup", "machine", text)];
  const drivers = new Map<string, string[]>();
  for (const { container } of seen.containers) {
    const path = cgroupsPathOf(container.bundle);
    if (path === undefined) continue;
    // runc's own form for the systemd driver is slice:prefix:name.
    const driver = path.split(":").length === 3 ? "systemd" : "cgroupfs";
    drivers.set(driver, [...(drivers.get(driver) ?? []), `${container.namespace}/${container.id}`]);
  }
  if (drivers.has("systemd") && !bySystemd) {
    findings.push({
      check: "cgroup-driver",
      grade: "problem",
      subject: (drivers.get("systemd") ?? []).join(", "),
      what: "wants its cgroup from systemd, which does not run",
      meaning: "the runtime cannot make the cgroup, so that a start fails",
      command: "set SystemdCgroup = false in the runtime's options of containerd's configuration",
    });
  } else if (drivers.size > 1) {
    findings.push({
      check: "cgroup-driver",
      grade: "note",
      subject: "machine",
      what: "some containers have their cgroup from systemd, some directly from the shim's runtime",
      meaning: "two managers of one tree may undo each other's limits",
      command: "set SystemdCgroup alike for all runtimes in containerd's configuration",
    });
  } else for (const driver of drivers.keys()) findings.push(ok("cgroup-driver", "machine", driver));
  return findings;
}

function cgroupsPathOf(bundle: string): string | undefined {
  try {
    const spec = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8")) as { linux?: { cgroupsPath?: string } };
    return spec.linux?.cgroupsPath;
  } catch {
    // A bundle that is being made or removed.
    return undefined;
  }
}

function checkDaemon({ settings }: Context, { daemon, containers }: Seen): Finding {
  const theirs = containers.filter(({ container }) => container.owner === "containerd").length;
  const subject = settings.address;
  if (daemon.answers) return ok("daemon", subject, `containerd ${daemon.version} answers`);
  if (theirs === 0) return { ...ok("daemon", subject, "no containerd answers, and none is needed"), grade: "note" };
  return {
    check: "daemon",
    grade: "problem",
    subject,
    what: `containerd does not answer (${daemon.fault}), and ${theirs} of its containers are here`,
    meaning: "they run on, but nobody is told of their ends, and nobody cleans up, until it is back",
    command: "systemctl restart containerd   # it must have KillMode=process",
  };
}

/** The two settings without which a restart of the daemon takes the containers with it. */
async function checkUnit(units: string | undefined): Promise<Finding[]> {
  const unit = units === undefined ? ((await shownUnit()) ?? unitInFiles(unitFolders)) : unitInFiles([units]);
  if (unit === undefined) return [{ ...ok("unit", unitName, "there is no such unit"), grade: "note" }];
  const findings: Finding[] = [];
  const mode = unit.get("KillMode") ?? "control-group";
  const command = (setting: string): string =>
    `systemctl edit ${unitName}   # [Service] ${setting}, then systemctl daemon-reload`;
  if (mode === "process" || mode === "none") findings.push(ok("unit-kill-mode", unitName, `KillMode=${mode}`));
  else {
    findings.push({
      check: "unit-kill-mode",
      grade: "problem",
      subject: unitName,
      what: `KillMode=${mode}`,
      meaning: "a stop or restart of containerd kills every shim, and with it the containers",
      command: command("KillMode=process"),
    });
  }
  const delegate = unit.get("Delegate") ?? "no";
  // A list of controllers is a yes, too.
  if (!/^(no|false|off|0|)$/i.test(delegate))
    return [...findings, ok("unit-delegate", unitName, `Delegate=${delegate}`)];
  findings.push({
    check: "unit-delegate",
    grade: "problem",
    subject: unitName,
    what: `Delegate=${delegate}`,
    meaning: "systemd may move processes and take limits away in the cgroups of containers",
    command: command("Delegate=yes"),
  });
  return findings;
}

async function shownUnit(): Promise<ReadonlyMap<string, string> | undefined> {
  if (!existsSync("/run/systemd/system")) return undefined;
  const text = await output("systemctl", ["show", unitName, "-p", "LoadState,KillMode,Delegate"], 5_000);
  const shown = new Map((text ?? "").split("\n").map((line) => pairOf(line)));
  return shown.get("LoadState") === "loaded" ? shown : undefined;
}

/** The unit's [Service] settings as the files have them, drop-ins last. */
function unitInFiles(folders: readonly string[]): ReadonlyMap<string, string> | undefined {
  const main = folders.map((folder) => textOfFile(join(folder, unitName))).find((text) => text !== undefined);
  if (main === undefined) return undefined;
  const found = new Map<string, string>();
  const dropIns = [...folders].reverse().flatMap((folder) => {
    const dir = join(folder, `${unitName}.d`);
    if (!existsSync(dir)) return [];
    const names = readdirSync(dir).filter((name) => name.endsWith(".conf"));
    return names.sort().map((name) => textOfFile(join(dir, name)) ?? "");
  });
  for (const text of [main, ...dropIns]) {
    let section = "";
    for (const line of text.split("\n").map((each) => each.trim())) {
      if (line.startsWith("[")) section = line;
      else if (section === "[Service]" && line.includes("=") && !line.startsWith("#")) found.set(...pairOf(line));
    }
  }
  return found;
}

function pairOf(line: string): [string, string] {
  const at = line.indexOf("=");
  return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
}

function output(program: string, args: readonly string[], timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: timeoutMs }, (fault, stdout) => resolve(fault === null ? stdout : undefined));
  });
}
