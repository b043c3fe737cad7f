// Pause and Resume of one container: the state table says whether, the runtime does it, and who asks for what is under way
// already waits for that.

import type { Runtime } from "../oci/runtime.ts";
import { MoorError } from "../sys/error.ts";
import type { ContainerCgroup } from "./container-cgroup.ts";
import type { Process } from "./process.ts";
import type { TaskEvents } from "./task-events.ts";

export class Freezing {
  readonly #id: string;
  readonly #init: Process;
  readonly #runtime: Runtime;
  readonly #events: TaskEvents;
  readonly #cgroup: ContainerCgroup;
  #changing: Promise<void> | undefined;

  constructor(
    { id, init, runtime }: { readonly id: string; readonly init: Process; readonly runtime: Runtime },
    events: TaskEvents,
    cgroup: ContainerCgroup,
  ) {
    this.#id = id;
    this.#init = init;
    this.#runtime = runtime;
    this.#events = events;
    this.#cgroup = cgroup;
  }

  /** @throws MoorError. */
  pause(): Promise<void> {
    return this.#change(
      "pause",
      () => this.#runtime.pause(this.#id),
      (done) => this.#paused(done),
    );
  }

  /** @throws MoorError. */
  resume(): Promise<void> {
    return this.#change(
      "resume",
      () => this.#runtime.resume(this.#id),
      (done) => this.#resumed(done),
    );
  }

  /** One that another image of the program had begun has this outcome. */
  settled(isFrozen: boolean): void {
    const { state } = this.#init.data;
    if (state === "pausing") this.#paused(isFrozen);
    else if (state === "resuming") this.#resumed(!isFrozen);
  }

  async #change(request: "pause" | "resume", run: () => Promise<void>, end: (done: boolean) => void): Promise<void> {
    if (this.#init.ask(request).kind === "join") {
      await this.#changing;
      return;
    }
    const changing = run().then(
      () => end(true),
      (thrown: unknown) => {
        // The runtime may fail, or be killed, when it has done its work.
        if (request === "resume" && this.#cgroup.known?.isFrozen() === false) {
          end(true);
          return;
        }
        end(false);
        throw MoorError.from(thrown);
      },
    );
    this.#changing = changing;
    await changing;
  }

  #paused(done: boolean): void {
    // The container may have ended meanwhile, and even be deleted: then that is what was told last.
    const hasMoved = this.#init.happened(done ? "paused" : "pauseFailed").kind === "to";
    if (!done) this.#cgroup.thaw("that could not be paused");
    else if (hasMoved) this.#events.paused(this.#id);
  }

  #resumed(done: boolean): void {
    const hasMoved = this.#init.happened(done ? "resumed" : "resumeFailed").kind === "to";
    if (done && hasMoved) this.#events.resumed(this.#id);
  }
}
