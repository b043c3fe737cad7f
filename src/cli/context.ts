// What every command gets: the settings, the log, colours, and the environment they were made from.

import type { CliLog } from "./log.ts";
import type { Paint } from "./paint.ts";
import type { Settings } from "./settings.ts";

export interface Context {
  readonly settings: Settings;
  readonly log: CliLog;
  readonly paint: Paint;
  readonly env: NodeJS.ProcessEnv;
}
