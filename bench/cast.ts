// Who takes part: Moor's built shim, the stock shim of this machine's containerd, and from Debian sid the stock shim of a
// newer containerd, that containerd itself, and conmon, unpacked into folders of their own by scripts/fetch-daemons.

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "../test/harness/command.ts";
import { findInPath, repositoryDir } from "../test/harness/repository.ts";
import type { StockName } from "./side.ts";

export interface Cast {
  readonly moor: string;
  readonly older: string;
  /** Undefined when it could not be fetched. */
  readonly newer: string | undefined;
  readonly conmon: string | undefined;
  /** The folders of the containerds that the stock shims belong to. */
  readonly containerdBins: Readonly<Partial<Record<StockName, string>>>;
}

const names = ["containerd-2.1", "conmon-2.1"] as const;
const fetchWithinMs = 300_000;

/** Moor and this machine's stock shim alone. @throws Error when Moor is not built or containerd not installed. */
export function stockAndMoor(): Cast {
  const moor = process.env["MOOR_TEST_SHIM"] ?? join(repositoryDir(), "build/containerd-shim-moor-v2");
  if (!existsSync(moor)) throw new Error(`${moor} is missing: run make build first`);
  const older = findInPath("containerd-shim-runc-v2");
  if (older === undefined) throw new Error("containerd-shim-runc-v2 is not in PATH: install containerd");
  return { moor, older, newer: undefined, conmon: undefined, containerdBins: { older: dirname(older) } };
}

/** All who can be had. @throws Error when Moor is not built or containerd not installed. */
export async function findCast(): Promise<Cast> {
  const two = stockAndMoor();
  const [newerBin, conmonBin] = await fetchBins();
  return {
    ...two,
    containerdBins: { ...two.containerdBins, ...(newerBin === undefined ? {} : { newer: newerBin }) },
    newer: newerBin === undefined ? undefined : join(newerBin, "containerd-shim-runc-v2"),
    conmon: conmonBin === undefined ? undefined : join(conmonBin, "conmon"),
  };
}

/** The folders of programs of `names`; undefined for one that cannot be had, which is said. */
async function fetchBins(): Promise<(string | undefined)[]> {
  const bins: (string | undefined)[] = [];
  for (const name of names) {
    const argv = [join(repositoryDir(), "scripts/fetch-daemons"), name];
    const { status, stdout, stderr } = await run(argv, { deadlineMs: fetchWithinMs });
    const folder = stdout.trim().split(" ")[1];
    if (status === 0 && folder !== undefined) bins.push(join(folder, "bin"));
    else {
      process.stderr.write(`bench: goes on without ${name}: ${stderr.trim().split("\n").at(-1) ?? ""}\n`);
      bins.push(undefined);
    }
  }
  return bins;
}
