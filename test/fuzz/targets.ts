// All targets: everything that takes bytes or text from outside and is written in TypeScript.

import { fileTargets } from "./file-targets.ts";
import { messageTargets } from "./message-targets.ts";
import type { Target } from "./target.ts";
import { textTargets } from "./text-targets.ts";
import { ttrpcTargets } from "./ttrpc-targets.ts";

export function allTargets(): readonly Target[] {
  return [...ttrpcTargets, ...messageTargets, ...fileTargets, ...textTargets];
}
