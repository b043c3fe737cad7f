// The OCI specs of the tests' containers: what `ctr run` makes, cut down to what the tests need, with each part open
// to change before it is used.

import { type SceneNames } from "./scene-names.ts";

/** As much of an OCI process as the tests set. */
export interface OciProcess {
  terminal: boolean;
  user: { uid: number; gid: number };
  args: string[];
  env: string[];
  cwd: string;
  capabilities: Record<"bounding" | "effective" | "permitted" | "inheritable", string[]>;
  noNewPrivileges: boolean;
  oomScoreAdj?: number;
}

export interface OciMount {
  destination: string;
  type: string;
  source: string;
  options: string[];
}

export interface OciSpec {
  ociVersion: string;
  process: OciProcess;
  root: { path: string; readonly: boolean };
  hostname: string;
  mounts: OciMount[];
  annotations: Record<string, string>;
  linux: {
    cgroupsPath: string;
    namespaces: { type: string; path?: string }[];
    resources: Record<string, unknown>;
  };
}

const CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SYS_CHROOT"];

/** A process that runs `args`. */
export function ociProcess(args: readonly string[], terminal = false): OciProcess {
  return {
    terminal,
    user: { uid: 0, gid: 0 },
    args: [...args],
    env: ["PATH=/bin", "HOME=/root", ...(terminal ? ["TERM=xterm"] : [])],
    cwd: "/",
    capabilities: {
      bounding: CAPABILITIES,
      effective: CAPABILITIES,
      permitted: CAPABILITIES,
      inheritable: [],
    },
    noNewPrivileges: true,
  };
}

/** The spec of container `id` on root file system `rootfs` ("rootfs" for the bundle's own, which the shim mounts). */
export function ociSpec(scene: SceneNames, id: string, rootfs: string, process: OciProcess): OciSpec {
  return {
    ociVersion: "1.0.2-dev",
    process,
    root: { path: rootfs, readonly: false },
    hostname: "moor-test",
    mounts: [
      { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=65536k"] },
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=0"],
      },
    ],
    annotations: {},
    linux: {
      cgroupsPath: `/${scene.namespace}/${id}`,
      namespaces: ["pid", "ipc", "uts", "mount", "network"].map((type) => ({ type })),
      resources: { devices: [{ allow: false, access: "rwm" }] },
    },
  };
}
