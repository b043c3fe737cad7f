// The runtime's start of a created container, and what is true when it fails: it may have let init go before that, and then
// the container runs, whatever the runtime says or can no longer say.

import { executedWithinMs, type ExecutionWatch } from "../oci/process-image.ts";
import { hasRefused } from "../oci/runtime-error.ts";
import { MoorError } from "../sys/error.ts";
import type { ContainerSetup } from "./container.ts";
import type { ShimContext } from "./context.ts";

/**
 * @param watch on init since it was created.
 * @throws MoorError when init still stands where Create has left it: it may be started again.
 */
export async function startCreated(
  { log }: ShimContext,
  { id, runtime }: ContainerSetup,
  watch: ExecutionWatch | undefined,
): Promise<void> {
  try {
    await runtime.start(id);
  } catch (thrown) {
    if ((await watch?.executedWithin(hasRefused(thrown) ? 0 : executedWithinMs)) !== true) throw thrown;
    log.warn("the container runs, although its start failed", { id, error: MoorError.from(thrown).message });
  }
}
