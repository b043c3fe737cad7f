// The folder of one container that runs without a daemon: ROOT/NAMESPACE/ID. It is the shim's bundle (a private copy of
// config.json, what the shim writes there), holds the FIFOs of the container's stdio, and moor's own record of the run.
// Made exclusively, so that two runs of one id cannot meet; removed as a whole.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, renameSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { CliError, errnoOf } from "./cli-error.ts";
import { mountsIn } from "./mounts.ts";

/** What moor notes of a run, for later commands. Stable: fields are only added. */
export interface RunRecord {
  readonly version: 1;
  readonly id: string;
  readonly namespace: string;
  /** The bundle that was named on the command line. */
  readonly bundle: string;
  readonly terminal: boolean;
  readonly createdAt: string;
  /** The shim's file, used again for `delete`. */
  readonly shim: string;
  /** Init's pid and start time (clock ticks since boot, proc(5)), which tell it from a later process of that number. */
  readonly pid?: number;
  readonly pidStartTime?: string;
  readonly shimPid?: number;
  /** Run with --rm: whoever sees its end removes it. */
  readonly rm?: boolean;
}

const recordFile = "moor.json";
const attachedFile = "attached";

export class StateFolder {
  readonly dir: string;
  readonly id: string;
  readonly namespace: string;
  readonly #root: string;

  constructor(root: string, namespace: string, id: string) {
    this.#root = root;
    this.namespace = namespace;
    this.id = id;
    this.dir = join(root, namespace, id);
  }

  get stdin(): string {
    return join(this.dir, "stdin");
  }

  get stdout(): string {
    return join(this.dir, "stdout");
  }

  get stderr(): string {
    return join(this.dir, "stderr");
  }

  /** Where an attached client writes its pid. */
  get attached(): string {
    return join(this.dir, attachedFile);
  }

  /** Makes the folder with its FIFOs. @throws CliError when there is a container of this id. */
  create(configText: string): void {
    const parent = dirname(this.dir);
    for (let attempt = 0; ; attempt++) {
      mkdirSync(parent, { recursive: true, mode: 0o711 });
      try {
        mkdirSync(this.dir, { mode: 0o700 });
        break;
      } catch (thrown) {
        if (errnoOf(thrown) === "EEXIST") {
          throw new CliError(`there is a container ${this.namespace}/${this.id} already: remove it with moor rm`);
        }
        // Another moor removed the empty parent between the two calls.
        if (errnoOf(thrown) !== "ENOENT" || attempt >= 10) throw thrown;
      }
    }
    try {
      // The shim expects, as from a daemon, an empty folder to mount on and a FIFO for its log.
      mkdirSync(join(this.dir, "rootfs"), { mode: 0o711 });
      writeFileSync(join(this.dir, "config.json"), configText, { mode: 0o600 });
      execFileSync("mkfifo", ["-m", "600", this.stdin, this.stdout, this.stderr, join(this.dir, "log")]);
    } catch (thrown) {
      this.remove();
      throw thrown;
    }
  }

  writeRecord(record: RunRecord): void {
    const path = join(this.dir, recordFile);
    writeFileSync(`${path}.new`, `${JSON.stringify(record)}\n`, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }

  /** The record, or undefined when there is none that makes sense. */
  readRecord(): RunRecord | undefined {
    try {
      const record = JSON.parse(readFileSync(join(this.dir, recordFile), "utf8")) as RunRecord;
      return record.version === 1 ? record : undefined;
    } catch {
      // A run that was cut short before it wrote one.
      return undefined;
    }
  }

  /**
   * Removes the folder, and the folders above it that are now empty.
   * @throws CliError when something is mounted in it: what is there is not ours to remove.
   */
  remove(): void {
    const [mounted] = mountsIn(this.dir);
    if (mounted !== undefined) throw new CliError(`something is mounted at ${mounted}: umount it first`);
    rmSync(this.dir, { recursive: true, force: true });
    for (const dir of [dirname(this.dir), this.#root]) {
      try {
        rmdirSync(dir);
      } catch {
        // Other containers are in it (ENOTEMPTY), or someone else was quicker (ENOENT).
        return;
      }
    }
  }
}

/** Every state folder under `root`; none when there is no such folder. */
export function listStateFolders(root: string): StateFolder[] {
  return namesIn(root).flatMap((namespace) =>
    namesIn(join(root, namespace)).map((id) => new StateFolder(root, namespace, id)),
  );
}

/** The names of the folders in `dir`, sorted; none when it does not exist or may not be read. */
export function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .sort();
  } catch (thrown) {
    if (errnoOf(thrown) === "ENOENT" || errnoOf(thrown) === "ENOTDIR") return [];
    if (errnoOf(thrown) === "EACCES") throw new CliError(`read ${dir}: EACCES (moor needs root)`, "failure", thrown);
    throw thrown;
  }
}
