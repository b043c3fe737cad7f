// The commands that look at containers while they run and hold them: their flags, their help, and what each one calls.

import { parseDuration } from "./duration.ts";
import { formatOption, parseFormat } from "./output.ts";
import type { ProgramParts } from "./program-parts.ts";

/** Adds pause, resume, stats and top. */
export function addLiveCommands({ command, act }: ProgramParts): void {
  for (const verb of ["pause", "resume"] as const) {
    const text = verb === "pause" ? "hold every process of a container" : "let a paused container go on";
    command(`${verb} <id>`, text).action((id: string) =>
      act(async (context) => {
        const { pauseCommand } = await import("./pause.ts");
        return pauseCommand(context, id, verb);
      }),
    );
  }

  command("stats [ids...]", "what containers use: refreshed in place on a terminal, else told once")
    .option("--stream", "tell again and again, whatever the output is")
    .option("--no-stream", "tell once, on a terminal too")
    .option("--interval <duration>", "between two readings", "1s")
    .addOption(formatOption())
    .action((ids: string[], flags: Record<string, unknown>) =>
      act(async (context) => {
        const { statsCommand } = await import("./stats.ts");
        return statsCommand(context, ids, liveFlags(flags));
      }),
    );

  command("top <id>", "the processes of a container: refreshed in place on a terminal, else told once")
    .option("--stream", "tell again and again, whatever the output is")
    .option("--no-stream", "tell once, on a terminal too")
    .option("--interval <duration>", "between two readings", "1s")
    .addOption(formatOption())
    .action((id: string, flags: Record<string, unknown>) =>
      act(async (context) => {
        const { topCommand } = await import("./top.ts");
        return topCommand(context, id, liveFlags(flags));
      }),
    );
}

function liveFlags(flags: Record<string, unknown>) {
  return {
    stream: flags["stream"] as boolean | undefined,
    intervalMs: parseDuration(flags["interval"] as string),
    format: parseFormat(flags["format"] as string),
  };
}
