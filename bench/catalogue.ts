// Every figure by its id in the table of aims, in the order in which they are taken.

import type { Figure } from "./figure.ts";
import { measureCalls } from "./measures/calls.ts";
import { measureExec, measureExecCrowds } from "./measures/execs.ts";
import { measureExits } from "./measures/exits.ts";
import { measureGroup } from "./measures/group.ts";
import { measureIdle } from "./measures/idle.ts";
import { measureCrowd, measureLife } from "./measures/life.ts";
import { measureMemory, measureWornMemory } from "./measures/memory.ts";
import { measurePipes, measureTerminal } from "./measures/output.ts";
import { measureColdStart, measureStart } from "./measures/start.ts";
import { measureThroughCtr } from "./measures/through-ctr.ts";
import type { Extent } from "./round.ts";
import type { Stage } from "./stage.ts";

export type Measure = (stage: Stage, extent: Extent) => Promise<Figure[]>;

export const catalogue: Readonly<Record<string, Measure>> = {
  B1: measureStart,
  B2: measureColdStart,
  B3: measureLife,
  B4: measureExec,
  B5: measureExecCrowds,
  B6: measureCrowd,
  B7: measureExits,
  B8: measurePipes,
  B9: measureTerminal,
  B10: measureMemory,
  B11: measureWornMemory,
  B12: measureIdle,
  B13: measureCalls,
  B14: measureGroup,
  CTR: measureThroughCtr,
};
