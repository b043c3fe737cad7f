// Colour, where a person looks on: on a terminal that can show it, without NO_COLOR, unless --color says otherwise.

import pico from "picocolors";
import type { ColorChoice } from "./settings.ts";

export interface Paint {
  good(text: string): string;
  bad(text: string): string;
  faint(text: string): string;
  strong(text: string): string;
}

/** The colours for output to `stream`. */
export function paintFor(choice: ColorChoice, env: NodeJS.ProcessEnv, stream: { readonly isTTY?: boolean }): Paint {
  const colors = pico.createColors(wantsColor(choice, env, stream));
  return { good: colors.green, bad: colors.red, faint: colors.dim, strong: colors.bold };
}

/** Whether colour is wanted: https://no-color.org for the variable. */
export function wantsColor(choice: ColorChoice, env: NodeJS.ProcessEnv, stream: { readonly isTTY?: boolean }): boolean {
  if (choice !== "auto") return choice === "always";
  return stream.isTTY === true && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
}
