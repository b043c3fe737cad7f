// Who is attached to a container: one command at a time, since two readers of one FIFO would each get a part of the
// output. It is said by a file in the state folder, which names a process and is void when that process is gone.

import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { onExit } from "signal-exit";
import { CliError, errnoOf } from "./cli-error.ts";
import { startTimeOf } from "./proc.ts";
import type { StateFolder } from "./state-folder.ts";

const attempts = 10;

/**
 * Attaches this process, until the returned function is called or the process ends, in whatever way.
 * @throws CliError while another process is attached.
 */
export function claimAttachment(folder: StateFolder): () => void {
  const file = folder.attached;
  const own = `${file}.${process.pid}`;
  writeFileSync(own, `${process.pid} ${startTimeOf(process.pid) ?? ""}\n`, { mode: 0o600 });
  try {
    for (let attempt = 1; !linked(own, file); attempt++) {
      const pid = holderOf(file);
      if (pid !== undefined || attempt === attempts) {
        const who = pid === undefined ? "another process" : `process ${pid}`;
        throw new CliError(`${who} is attached to ${folder.id} already: its output can go to one place only`);
      }
      removeVoid(file, own);
    }
  } finally {
    rmSync(own, { force: true });
  }
  const release = (): void => {
    forget();
    rmSync(file, { force: true });
  };
  const forget = onExit(release);
  return release;
}

function linked(own: string, file: string): boolean {
  try {
    linkSync(own, file);
    return true;
  } catch (thrown) {
    if (errnoOf(thrown) === "EEXIST") return false;
    throw thrown;
  }
}

// Its writer is gone without having removed it (SIGKILL). It is first taken away under a name of our own: if another
// process was quicker and has put its own file there, that one goes back.
function removeVoid(file: string, own: string): void {
  const taken = `${own}.void`;
  try {
    renameSync(file, taken);
    if (holderOf(taken) !== undefined) linked(taken, file);
  } catch (thrown) {
    if (errnoOf(thrown) !== "ENOENT") throw thrown;
  } finally {
    rmSync(taken, { force: true });
  }
}

/** The living process that wrote the file. */
function holderOf(file: string): number | undefined {
  try {
    const [pid, startTime] = readFileSync(file, "utf8").trim().split(" ");
    return startTime !== undefined && startTimeOf(Number(pid)) === startTime ? Number(pid) : undefined;
  } catch {
    return undefined;
  }
}
