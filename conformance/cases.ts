// All cases, in the order in which they are run and printed.

import type { Case } from "./case.ts";
import { controlCases } from "./cases/control.ts";
import { deathCases } from "./cases/death.ts";
import { deleteCases } from "./cases/deletes.ts";
import { eventCases } from "./cases/events.ts";
import { execCases } from "./cases/execs.ts";
import { exitCases } from "./cases/exits.ts";
import { killCases } from "./cases/kill.ts";
import { lifeCases } from "./cases/life.ts";
import { refusalCases } from "./cases/refusals.ts";
import { runtimeCases } from "./cases/runtimes.ts";
import { startCases } from "./cases/start.ts";
import { streamCases } from "./cases/streams.ts";
import { terminalCases } from "./cases/terminal.ts";
import { upkeepCases } from "./cases/upkeep.ts";
import { wireCases } from "./cases/wire.ts";

export const allCases: readonly Case[] = [
  ...startCases,
  ...lifeCases,
  ...eventCases,
  ...exitCases,
  ...streamCases,
  ...terminalCases,
  ...execCases,
  ...killCases,
  ...controlCases,
  ...deleteCases,
  ...deathCases,
  ...runtimeCases,
  ...refusalCases,
  ...wireCases,
  ...upkeepCases,
];
