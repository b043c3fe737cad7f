// What to say of a shim that does not know what it was asked: which of the two is the older one.

import { textOf } from "./cli-error.ts";
import type { Context } from "./context.ts";
import { ControlLacking } from "./control-client.ts";
import { isMoorShim } from "./inventory.ts";
import { programOf } from "./proc.ts";
import type { ShimClient } from "./shim-client.ts";
import { ShimVersions } from "./shim-versions.ts";
import { moorVersion } from "./version.ts";

/** "its shim (Moor 0.1.0) has no control service; this moor is 0.2.0". */
export async function lackOf(
  context: Context,
  client: ShimClient,
  id: string,
  { method }: ControlLacking,
): Promise<string> {
  try {
    const { version } = await client.control.describe();
    return `its shim (Moor ${version}) knows no ${method}; this moor is ${moorVersion()}`;
  } catch (thrown) {
    if (!(thrown instanceof ControlLacking)) return textOf(thrown);
  }
  const pid = await client.shimPid(id).catch(() => 0);
  const program = programOf(pid);
  if (!isMoorShim(program)) return `its shim (${program || "unknown"}) is not Moor's and has no control service`;
  // Of the process itself: the file may have been replaced since.
  const version = await new ShimVersions(context.settings.timeoutMs).of(pid);
  return `its shim (Moor ${version ?? "of a version that cannot be told"}) has no control service; this moor is ${moorVersion()}`;
}
