// `moor bundle DIR`: a ready bundle from nothing but a static busybox: a root file system with every applet, and a
// config.json that runs a shell on a terminal in namespaces of its own.

import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { CliError, errnoOf, textOf } from "./cli-error.ts";

const busyboxPlaces = ["/bin/busybox", "/usr/bin/busybox", "/usr/local/bin/busybox"];
const rootFolders = ["bin", "dev", "etc", "home", "proc", "root", "run", "sys", "tmp", "usr", "var"];
const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

/**
 * Makes the bundle and returns its absolute path. What it made is removed again when it fails half-way.
 * @throws CliError when `dir` holds something already, or there is no static busybox.
 */
export function makeBundle(dir: string, args: readonly string[]): string {
  const bundle = resolve(dir);
  const busybox = findStaticBusybox();
  const existed = existsSync(bundle);
  if (existed && readdirSync(bundle).length > 0)
    throw new CliError(`${bundle} is not empty: name a new or empty folder`);
  try {
    mkdirSync(bundle, { recursive: true });
    makeRootfs(join(bundle, "rootfs"), busybox);
    writeFileSync(join(bundle, "config.json"), `${JSON.stringify(defaultSpec(args), undefined, 2)}\n`);
  } catch (thrown) {
    for (const name of ["rootfs", "config.json"]) rmSync(join(bundle, name), { recursive: true, force: true });
    if (!existed) rmSync(bundle, { recursive: true, force: true });
    throw new CliError(`make the bundle ${bundle}: ${errnoOf(thrown) ?? textOf(thrown)}`, "failure", thrown);
  }
  return bundle;
}

function makeRootfs(rootfs: string, busybox: string): void {
  for (const folder of rootFolders) mkdirSync(join(rootfs, folder), { recursive: true });
  chmodSync(join(rootfs, "tmp"), 0o1777);
  const binary = join(rootfs, "bin/busybox");
  copyFileSync(busybox, binary);
  chmodSync(binary, 0o755);
  const applets = execFileSync(busybox, ["--list"], { encoding: "utf8" }).split("\n");
  for (const applet of applets) {
    if (applet !== "" && applet !== "busybox") symlinkSync("busybox", join(rootfs, "bin", applet));
  }
  writeFileSync(
    join(rootfs, "etc/passwd"),
    "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
  );
  writeFileSync(join(rootfs, "etc/group"), "root:x:0:\nnogroup:x:65534:\n");
}

function findStaticBusybox(): string {
  const found = busyboxPlaces.filter((file) => existsSync(file));
  const usable = found.find((file) => isStatic(readFileSync(file)));
  if (usable !== undefined) return usable;
  const why = found.length === 0 ? "there is no busybox on this machine" : `${found[0]} is linked dynamically`;
  throw new CliError(`${why}: install the Debian package busybox-static`);
}

/** Whether an ELF file runs without a dynamic loader: it names no interpreter (PT_INTERP, elf(5)). */
export function isStatic(elf: Buffer): boolean {
  if (elf.length < 64 || elf.readUInt32BE(0) !== 0x7f454c46) return false;
  const wide = elf[4] === 2;
  const little = elf[5] === 1;
  const u16 = (at: number): number => (little ? elf.readUInt16LE(at) : elf.readUInt16BE(at));
  const u32 = (at: number): number => (little ? elf.readUInt32LE(at) : elf.readUInt32BE(at));
  const headers = wide ? Number(little ? elf.readBigUInt64LE(32) : elf.readBigUInt64BE(32)) : u32(28);
  const size = u16(wide ? 54 : 42);
  const count = u16(wide ? 56 : 44);
  for (let i = 0; i < count; i++) {
    const at = headers + i * size;
    if (at + 4 > elf.length || u32(at) === 3) return false;
  }
  return true;
}

/** The spec of a fresh bundle. It differs from what `runc spec` writes in that the root file system can be written to. */
export function defaultSpec(args: readonly string[]): Record<string, unknown> {
  const hidden = [
    "acpi",
    "asound",
    "kcore",
    "keys",
    "latency_stats",
    "timer_list",
    "timer_stats",
    "sched_debug",
    "scsi",
  ];
  const fixed = ["bus", "fs", "irq", "sys", "sysrq-trigger"];
  return {
    ociVersion: "1.0.2",
    process: {
      terminal: true,
      user: { uid: 0, gid: 0 },
      args: args.length > 0 ? args : ["sh"],
      env: [`PATH=${path}`, "TERM=xterm", "HOME=/root"],
      cwd: "/",
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: "rootfs", readonly: false },
    hostname: "moor",
    mounts: [
      { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
      {
        destination: "/dev",
        type: "tmpfs",
        source: "tmpfs",
        options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
      },
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
      },
      {
        destination: "/dev/shm",
        type: "tmpfs",
        source: "shm",
        options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
      },
      { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
      { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
    ],
    linux: {
      resources: { devices: [{ allow: false, access: "rwm" }] },
      namespaces: ["pid", "network", "ipc", "uts", "mount"].map((type) => ({ type })),
      maskedPaths: [...hidden.map((name) => `/proc/${name}`), "/sys/firmware"],
      readonlyPaths: fixed.map((name) => `/proc/${name}`),
    },
  };
}
