// What the shim has to do with the cgroup of one container: found once init is there, watched for the out-of-memory killer
// until its end has been told, thawed for a kill, signalled, read for stats.

import { Cgroup, findCgroup } from "../cgroup/cgroup.ts";
import type { KeptOomWatch, OomWatch } from "../cgroup/oom.ts";
import { MoorError } from "../sys/error.ts";
import type { ShimContext } from "./context.ts";
import type { Process } from "./process.ts";

export class ContainerCgroup {
  readonly #context: ShimContext;
  readonly #init: Process;
  readonly #onOom: () => void;
  #cgroup: Cgroup | undefined;
  #oomWatch: OomWatch | undefined;

  /** @param onOom called each time the out-of-memory killer has struck. */
  constructor(context: ShimContext, init: Process, onOom: () => void) {
    this.#context = context;
    this.#init = init;
    this.#onOom = onOom;
  }

  /** By init, which is there from now on. */
  find(): void {
    const { sys, log } = this.#context;
    const { pid, containerId: id } = this.#init.data;
    // Somebody may have asked between the restore and this.
    this.#oomWatch?.stop();
    try {
      this.#cgroup = findCgroup(sys, pid);
      this.#oomWatch = this.#cgroup.watchOom(this.#onOom);
    } catch (thrown) {
      // One that has ended already is in no cgroup; without the memory controller there is nothing to watch.
      log.debug("no watch for out of memory", { id, error: MoorError.from(thrown).message });
    }
    this.#init.part.touch();
  }

  /** The first look may have failed, for want of fds say: then it is looked for again as long as init lives. */
  lookFor(): Cgroup | undefined {
    const { owned } = this.#init;
    if (this.#cgroup === undefined && owned !== undefined && owned.exit === undefined) this.find();
    return this.#cgroup;
  }

  /** As the image before had it. */
  goOn(data: Cgroup["data"] | undefined, watch: KeptOomWatch | undefined): void {
    const { sys, log } = this.#context;
    if (data === undefined) return;
    this.#cgroup = new Cgroup(sys, data);
    if (watch === undefined) return;
    try {
      this.#oomWatch = this.#cgroup.watchOom(this.#onOom, watch);
    } catch (thrown) {
      const { containerId: id } = this.#init.data;
      log.warn("the watch for out of memory is over", { id, error: MoorError.from(thrown).message });
    }
  }

  get known(): Cgroup | undefined {
    return this.#cgroup;
  }

  keepWatch(): KeptOomWatch | undefined {
    return this.#oomWatch?.keep();
  }

  /** Has a kill that has happened told now. */
  check(): void {
    this.#oomWatch?.check();
  }

  stop(): void {
    this.#oomWatch?.stop();
    this.#oomWatch = undefined;
  }

  /** A frozen process of cgroup v1 does not even die of SIGKILL. A runtime may have failed after it has frozen it. */
  thaw(why: string): void {
    try {
      const cgroup = this.lookFor();
      if (cgroup?.isFrozen() === true) cgroup.thaw();
    } catch (thrown) {
      const { containerId: id } = this.#init.data;
      this.#context.log.warn(`thaw a container ${why}`, { id, error: MoorError.from(thrown).message });
    }
  }

  /** @throws MoorError failed_precondition when there is no cgroup yet. */
  async stats(): Promise<{ typeUrl: string; value: Uint8Array }> {
    const cgroup = this.lookFor();
    if (cgroup !== undefined) return cgroup.stats();
    const { containerId: id } = this.#init.data;
    throw new MoorError("failed_precondition", `stats of container ${id}: it has no cgroup yet`);
  }
}
