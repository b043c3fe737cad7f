// The command's own log, on standard error. Warnings are plain lines; whoever asks for more, or for JSON, gets winston,
// which is loaded only then (12 ms and 1.7 MB that `moor ps` need not pay).

import type { Settings } from "./settings.ts";

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface CliLog {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
}

/** The log for these settings. */
export async function openLog(settings: Pick<Settings, "logLevel" | "logFormat">): Promise<CliLog> {
  const { logLevel, logFormat } = settings;
  if (logFormat === "text" && (logLevel === "warn" || logLevel === "error")) return plainLog(logLevel === "warn");
  // By its default: bundled, this CommonJS package has no other export.
  const { createLogger, format, transports } = (await import("winston")).default;
  const text = format.printf(({ timestamp, level, message, ...fields }) => {
    const pairs = Object.entries(fields).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`);
    return `${String(timestamp)} ${level} ${String(message)}${pairs.join("")}`;
  });
  const logger = createLogger({
    level: logLevel,
    format: format.combine(format.timestamp(), logFormat === "json" ? format.json() : text),
    transports: [new transports.Stream({ stream: process.stderr })],
  });
  return {
    debug: (message, fields) => void logger.debug(message, fields),
    info: (message, fields) => void logger.info(message, fields),
    warn: (message, fields) => void logger.warn(message, fields),
  };
}

function plainLog(warns: boolean): CliLog {
  return {
    debug: () => undefined,
    info: () => undefined,
    warn: (message) => {
      if (warns) process.stderr.write(`moor: warning: ${message}\n`);
    },
  };
}
