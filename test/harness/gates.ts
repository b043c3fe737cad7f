// The gates of the test build (src/sys/gates.ts): arms one, waits until a shim stands still at it, and lets it go on.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Gate } from "../../src/sys/gates.ts";
import { repositoryDir } from "./repository.ts";
import { until } from "./until.ts";

/** A gate of the table, or one of the runtime's commands that is not in it. */
export type GateName = Gate | `${string}.spawned` | `${string}.ended`;

/** The build of the shim that has gates. @throws Error when it is not there. */
export function gatedShimPath(): string {
  const path = join(repositoryDir(), "build", "containerd-shim-moor-v2-gates");
  if (!existsSync(path)) throw new Error(`${path} is missing: run make gates first`);
  return path;
}

export class Gates {
  readonly dir: string;

  /** @param dir a folder of this object's own, made here. */
  constructor(dir: string) {
    this.dir = dir;
    mkdirSync(dir, { recursive: true });
  }

  /** What the shim's environment needs. */
  get environment(): { readonly MOOR_GATES: string } {
    return { MOOR_GATES: this.dir };
  }

  /** The next process that comes by stands still. */
  arm(name: GateName): void {
    writeFileSync(this.#path(name, "armed"), "");
  }

  /** Nobody has come by, and nobody shall be stopped any more. */
  disarm(name: GateName): void {
    rmSync(this.#path(name, "armed"), { force: true });
  }

  isReached(name: GateName): boolean {
    return existsSync(this.#path(name, "reached"));
  }

  /** The pid of the process that stands still there, once there is one. */
  async reached(name: GateName, deadlineMs = 10_000): Promise<number> {
    await until(`the gate ${name}`, deadlineMs, () => this.isReached(name));
    return Number(readFileSync(this.#path(name, "reached"), "utf8"));
  }

  /** Lets it go on. Nothing happens when nobody stands there. */
  pass(name: GateName): void {
    rmSync(this.#path(name, "reached"), { force: true });
  }

  #path(name: GateName, what: string): string {
    return join(this.dir, `${name}.${what}`);
  }
}
