// The records of the shim's state as another image of the program finds them (keeper.ts): their forms, and how each is told
// from the others.

import type { KeptOomWatch } from "../cgroup/oom.ts";
import type { CgroupFolders } from "../cgroup/membership.ts";
import type { KeptStdio } from "../io/stdio.ts";
import type { KeptFd } from "../io/stream.ts";
import type { KeptWatch } from "../oci/process-image.ts";
import type { KeptContainer } from "./create.ts";
import type { Exec, KeptExec } from "./execs.ts";
import type { KeptProcess, Process } from "./process.ts";

/** Init of a container, and what is known of its cgroup. */
export interface KeptInit extends KeptProcess {
  readonly cgroup: CgroupFolders | undefined;
  readonly oom: KeptOomWatch | undefined;
  readonly image: KeptWatch | undefined;
}

/** Streams of a deleted process that are not at their end. */
export interface KeptLeaving {
  readonly containerId: string;
  readonly execId: string;
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
  readonly bundle: string;
  readonly stdio: KeptStdio | undefined;
}

/** A connection to the daemon's event service. */
export interface KeptSink {
  readonly kind: "sink";
  readonly fd: KeptFd | undefined;
  /** The oldest event is under way. */
  readonly sending: boolean;
}

export type KeptRecord =
  | KeptSink
  | ({ readonly kind: "container" } & KeptContainer)
  | ({ readonly kind: "init" } & KeptInit)
  | ({ readonly kind: "exec" } & KeptExec)
  | ({ readonly kind: "leaving" } & KeptLeaving)
  | { readonly kind: "shim"; readonly [field: string]: unknown };

export function keptInit(
  init: Process,
  cgroup: CgroupFolders | undefined,
  oom: KeptOomWatch | undefined,
  image: KeptWatch | undefined,
): { readonly kind: "init" } & KeptInit {
  return { ...init.keep(), kind: "init", cgroup, oom, image };
}

export function keptExec(exec: Exec): { readonly kind: "exec" } & KeptExec {
  return { ...exec.keep(), kind: "exec" };
}
