// The state dump that SIGUSR1 asks for: JSON in the log, cut into lines that a FIFO takes whole, with part numbers by
// which they are put together again.

import type { Log } from "../sys/log.ts";

/** Of JSON in one line: with quotes escaped and the rest of the line it stays below PIPE_BUF (4096). */
const maxPartLength = 1500;

/** Writes each entry of the dump (its value is plain data, bigints included) in as many lines as it needs. */
export function logState(log: Log, dump: Readonly<Record<string, unknown>>): void {
  log.info("state dump begins");
  for (const [name, value] of Object.entries(dump)) {
    const text = JSON.stringify(value, (_key, inner: unknown) => (typeof inner === "bigint" ? String(inner) : inner));
    const parts = Math.max(1, Math.ceil(text.length / maxPartLength));
    for (let part = 0; part < parts; part++) {
      const json = text.slice(part * maxPartLength, (part + 1) * maxPartLength);
      log.info("state", { name, part: `${part + 1}/${parts}`, json });
    }
  }
  log.info("state dump ends");
}
