// A container's bundle as a daemon makes it, and the FIFOs of a process.

import { closeSync, constants, mkdirSync, openSync, rmSync, writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { makeFifo } from "../test/harness/fifo.ts";
import { ociProcess, ociSpec } from "../test/harness/oci-spec.ts";
import type { Streams } from "./bench-shim.ts";
import type { Stage } from "./stage.ts";

export class Bundle {
  readonly id: string;
  readonly dir: string;
  #log: { readonly fd: number; readonly reader: Socket } | undefined;

  /** Makes the folder with config.json, on the stage's root file system. */
  constructor(stage: Stage, id: string, args: readonly string[]) {
    this.id = id;
    this.dir = join(stage.bundlesDir, id);
    mkdirSync(join(this.dir, "rootfs"), { recursive: true });
    const spec = ociSpec(stage, id, stage.rootfs, ociProcess(args));
    writeFileSync(join(this.dir, "config.json"), JSON.stringify(spec));
  }

  /** Adds the log FIFO, which is read from now on: for the bundle that a shim is started in. */
  openLog(): void {
    const log = join(this.dir, "log");
    makeFifo(log);
    const fd = openSync(log, constants.O_RDWR | constants.O_NONBLOCK);
    const reader = new Socket({ fd: openSync(log, constants.O_RDONLY | constants.O_NONBLOCK), writable: false });
    reader.resume();
    this.#log = { fd, reader };
  }

  /** New FIFOs in the bundle, for the container or an exec. */
  streams(execId = "", terminal = false): Streams {
    const fifo = (name: string): string => {
      const path = join(this.dir, `${execId}${name}`);
      makeFifo(path);
      return path;
    };
    return { stdout: fifo("stdout"), stderr: terminal ? "" : fifo("stderr"), terminal };
  }

  remove(): void {
    if (this.#log !== undefined) {
      this.#log.reader.destroy();
      closeSync(this.#log.fd);
      this.#log = undefined;
    }
    rmSync(this.dir, { recursive: true, force: true });
  }
}
