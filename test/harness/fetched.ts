// Daemons of other Debian suites, brought by scripts/fetch-daemons: offline once they are there.

import { join } from "node:path";
import { run } from "./command.ts";
import { repositoryDir } from "./repository.ts";

/** Downloading some 30 MB each. */
const FETCH_MS = 300_000;

/** The folder of each one's programs, by the script's name for it; or why they cannot be had. */
export async function fetchDaemons(...names: readonly string[]): Promise<ReadonlyMap<string, string> | string> {
  const script = join(repositoryDir(), "scripts/fetch-daemons");
  const fetched = await run([script, ...names], { deadlineMs: FETCH_MS });
  if (fetched.status !== 0) return fetched.stderr.trim();
  const lines = fetched.stdout.trim().split("\n");
  return new Map(
    lines.map((line) => {
      const [name = "", folder = ""] = line.split(" ");
      return [name, join(folder, "bin")];
    }),
  );
}
