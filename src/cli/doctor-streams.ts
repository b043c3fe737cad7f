// moor doctor's look at output: FIFOs of containers that run which nobody but their shim has open for reading, so that
// output waits in the pipe, and then the container.

import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import type { Context } from "./context.ts";
import type { Seen } from "./doctor-shims.ts";
import type { Finding } from "./finding.ts";
import { allPids } from "./proc-figures.ts";

const accessMode = 0o3;
const writesOnly = 0o1;

export async function checkStreams(_context: Context, { containers }: Seen): Promise<Finding[]> {
  const wanted = new Map<string, { name: string; id: string; shim: number; isOwn: boolean }>();
  for (const { container, standing, name } of containers) {
    const { state, shimPid } = standing;
    if (state === undefined || shimPid === undefined || standing.status === "stopped") continue;
    for (const uri of new Set([state.stdout, state.stderr])) {
      const path = uri.replace(/^fifo:\/\//, "");
      if (!path.startsWith("/") || statSync(path, { throwIfNoEntry: false })?.isFIFO() !== true) continue;
      wanted.set(path, { name, id: container.id, shim: shimPid, isOwn: container.owner === "moor" });
    }
  }
  if (wanted.size === 0) return [];
  const read = readPaths(wanted);
  return [...wanted]
    .filter(([path]) => !read.has(path))
    .map(([path, { name, id, isOwn }]) => ({
      check: "unread-output",
      // Of a container that was left on purpose this is how it stands; a daemon's client should be there.
      grade: isOwn ? ("note" as const) : ("problem" as const),
      subject: name,
      what: `nobody reads ${path}`,
      meaning: "64 KiB of output wait in the pipe; once it is full, the container waits when it writes",
      command: `moor attach ${id}`,
    }));
}

/** Those of the paths that some process other than their shim has open to read. */
function readPaths(wanted: ReadonlyMap<string, { readonly shim: number }>): ReadonlySet<string> {
  const found = new Set<string>();
  for (const pid of allPids()) {
    for (const fd of fdsOf(pid)) {
      const path = linkOf(`/proc/${pid}/fd/${fd}`);
      const about = path === undefined ? undefined : wanted.get(path);
      if (path === undefined || about === undefined || about.shim === pid || found.has(path)) continue;
      if (isReader(`/proc/${pid}/fdinfo/${fd}`)) found.add(path);
    }
  }
  return found;
}

function fdsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`);
  } catch {
    // It ended meanwhile.
    return [];
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function isReader(path: string): boolean {
  try {
    const flags = Number.parseInt(/^flags:\s+(\d+)$/m.exec(readFileSync(path, "utf8"))?.[1] ?? "0", 8);
    return (flags & accessMode) !== writesOnly;
  } catch {
    return false;
  }
}
