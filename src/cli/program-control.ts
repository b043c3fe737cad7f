// Flags, arguments and help of the commands that use the shim's control service.

import { InvalidArgumentError, Option } from "commander";
import type { ProgramParts } from "./program-parts.ts";
import { type ShimLogLevel, shimLogLevels } from "./shim-log-levels.ts";

/** Adds them to the program. */
export function addControlCommands({ command, act }: ProgramParts): void {
  command("exec <id> [args...]", "run a process more in a container; ends with its status")
    .usage("[-t] [-i] [-d] [-u USER] [-w DIR] [-e NAME=VALUE] ID -- CMD [ARGS]")
    .option("-t, --tty", "give it a terminal")
    .option("-i, --interactive", "give it our input")
    .option("-d, --detach", "leave it running, without input and output")
    .option("-u, --user <user>", "USER[:GROUP], names (of the container) or numbers; by default the container's")
    .option("-w, --cwd <dir>", "where it runs; by default where the container does")
    .option("-e, --env <entry>", "NAME=VALUE, or NAME for our own value; may be repeated", gather, [])
    .passThroughOptions()
    .action((id: string, args: string[], flags: Record<string, unknown>) =>
      act(async (context) => {
        const { execCommand } = await import("./exec.ts");
        // The word -- ends the flags and is none of the command's.
        return execCommand(context, id, args[0] === "--" ? args.slice(1) : args, {
          tty: flags["tty"] === true,
          interactive: flags["interactive"] === true,
          detach: flags["detach"] === true,
          user: flags["user"] as string | undefined,
          cwd: flags["cwd"] as string | undefined,
          env: flags["env"] as string[],
        });
      }),
    );

  command("inspect <ids...>", "print all that is known of containers, as JSON").action((ids: string[]) =>
    act(async (context) => {
      const { inspectCommand } = await import("./inspect-command.ts");
      return inspectCommand(context, ids);
    }),
  );

  command("why <id>", "say in a paragraph how a container ended, or what it waits for").action((id: string) =>
    act(async (context) => {
      const { whyCommand } = await import("./inspect-command.ts");
      return whyCommand(context, id);
    }),
  );

  command("logs <id>", "print the last lines of the shim's own log")
    .option("-f, --follow", "go on with each new line")
    .option("--tail <lines>", "only so many of the last lines", count)
    .addOption(new Option("--level <level>", "only this level and above").choices(shimLogLevels).default("debug"))
    .action((id: string, flags: Record<string, unknown>) =>
      act(async (context) => {
        const { logsCommand } = await import("./logs.ts");
        return logsCommand(context, id, {
          follow: flags["follow"] === true,
          tail: flags["tail"] as number | undefined,
          level: flags["level"] as ShimLogLevel,
        });
      }),
    );

  command("log-level <id> <level>", "set how much a shim logs: debug, info, warning or error").action(
    (id: string, level: string) =>
      act(async (context) => {
        const { logLevelCommand } = await import("./logs.ts");
        return logLevelCommand(context, id, level);
      }),
  );
}

function gather(value: string, before: string[]): string[] {
  return [...before, value];
}

function count(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("it is a number of lines.");
}
