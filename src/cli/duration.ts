// Durations as people write them: 500ms, 2s, 1.5m, 1h; a bare number means seconds.

import { CliError } from "./cli-error.ts";

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Milliseconds. @throws CliError usage. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  const value = match === null ? Number.NaN : Number(match[1]) * (unitMs[match[2] ?? "s"] as number);
  if (Number.isFinite(value) && value > 0) return value;
  throw new CliError(`${JSON.stringify(text)} is no duration: say 500ms, 2s or 1m`, "usage");
}
