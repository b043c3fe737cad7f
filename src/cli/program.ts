// The command line itself: flags, arguments and help of every command, and which function each one calls.

import { Command, CommanderError, Option } from "commander";
import type { Context } from "./context.ts";
import { CliError, exitCodes } from "./cli-error.ts";
import { addControlCommands } from "./program-control.ts";
import { openLog } from "./log.ts";
import { formatOption, parseFormat } from "./output.ts";
import { paintFor } from "./paint.ts";
import { addLiveCommands } from "./program-live.ts";
import { colorChoices, type GlobalFlags, logLevels, readConfigFile, settingsOf } from "./settings.ts";
import { parseSignal } from "./signals.ts";
import { moorVersion } from "./version.ts";

/**
 * Runs the command that the arguments (without node and the script) name. `onCommand` hears its name before it runs.
 * @throws CliError; what is thrown otherwise is a bug.
 */
export async function runProgram(words: readonly string[], onCommand: (name: string) => void): Promise<number> {
  let status: number = exitCodes.ok;
  const program = makeProgram((result) => {
    status = result;
  }, onCommand);
  try {
    await program.parseAsync([...words], { from: "user" });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    // Help and version that were asked for come as errors of status 0; the rest has been said on stderr already.
    if (thrown.exitCode === 0) return exitCodes.ok;
    throw new CliError("", "usage", thrown);
  }
  return status;
}

function makeProgram(setStatus: (status: number) => void, onCommand: (name: string) => void): Command {
  const program = new Command("moor");
  program
    .description("Runs and looks after containers of the shim containerd-shim-moor-v2, with or without a daemon.")
    .version(moorVersion(), "-v, --version", "print the version and exit")
    .option("-a, --address <path>", "containerd's socket (CONTAINERD_ADDRESS)")
    .option(
      "-n, --namespace <name>",
      "namespace (CONTAINERD_NAMESPACE); without it all are looked at, and run uses moor",
    )
    .option("--root <dir>", "state of containers without a daemon (MOOR_ROOT), /run/moor by default")
    .option("--containerd-state <dir>", "containerd's state folder, /run/containerd by default")
    .option("--shim <file>", "the shim's binary (MOOR_SHIM); by default beside this command, then in PATH")
    .option("-c, --config <file>", "configuration (MOOR_CONFIG), /etc/moor/moor.toml by default")
    .option("--timeout <duration>", "for each request that does not wait for a container, 10s by default")
    .option("-D, --debug", "log everything")
    .addOption(new Option("--log-level <level>", "what to log").choices(logLevels))
    .addOption(new Option("--log-format <format>", "how to log").choices(["text", "json"]))
    .addOption(new Option("--color <when>", "colour, auto by default (NO_COLOR)").choices(colorChoices))
    .exitOverride()
    // Flags before the command are the program's, those after it the command's: both have an -a.
    .enablePositionalOptions()
    .configureHelp({ sortSubcommands: true })
    .showSuggestionAfterError()
    .hook("preSubcommand", (_program, command) => onCommand(command.name()));

  const command = (usage: string, text: string): Command =>
    program.command(usage).description(text).exitOverride().allowExcessArguments(false);
  const act = async (run: (context: Context) => Promise<number>): Promise<void> => {
    setStatus(await run(await openContext(program.opts<GlobalFlags>())));
  };
  addLiveCommands({ program, command, act });
  addControlCommands({ program, command, act });

  command("run <bundle> [args...]", "run a bundle without a daemon; ARGS after -- take the place of its arguments")
    .usage("[-t] [-d] [--rm] [--id ID] [--runtime-path RUNC] BUNDLE [-- ARGS]")
    .option("-t, --tty", "give it a terminal; by default as the bundle says, if we are on one")
    .option("--no-tty", "give it none, whatever the bundle says")
    .option("-d, --detach", "leave it running, and print its id")
    .option("--rm", "once left, have attach or wait remove it when they see its end")
    .option("--id <id>", "its name; made up by default")
    .option("--runtime-path <file>", "the OCI runtime; runc by default")
    .option("--detach-keys <keys>", "leave a terminal by these, ctrl-p,ctrl-q by default; empty: not at all")
    .action((bundle: string, args: string[], flags: Record<string, unknown>) =>
      act(async (context) => {
        const { runCommand } = await import("./run.ts");
        return runCommand(context, bundle, args, {
          tty: flags["tty"] as boolean | undefined,
          detach: flags["detach"] === true,
          rm: flags["rm"] === true,
          id: flags["id"] as string | undefined,
          runtimePath: flags["runtimePath"] as string | undefined,
          detachKeys: flags["detachKeys"] as string | undefined,
        });
      }),
    );

  command("attach <id>", "connect this terminal (or pipe) to a running container; its end is the command's")
    .addHelpText("after", "\nWhile nobody is attached, 64 KiB of output wait in a pipe; then the container waits, too.")
    .option("--no-stdin", "only look")
    .option("--close-stdin", "the end of our input is the end of the container's")
    .option("--no-sig-proxy", "keep signals for the command itself (without a terminal they go to the container)")
    .option("--detach-keys <keys>", "leave a terminal by these, ctrl-p,ctrl-q by default; empty: not at all")
    .action((id: string, flags: Record<string, unknown>) =>
      act(async (context) => {
        const { attachCommand } = await import("./attach.ts");
        return attachCommand(context, id, {
          stdin: flags["stdin"] !== false,
          closeStdin: flags["closeStdin"] === true,
          sigProxy: flags["sigProxy"] !== false,
          detachKeys: flags["detachKeys"] as string | undefined,
        });
      }),
    );

  command("ps", "list the containers of the shims of this machine, moor's and others'")
    .option("-a, --all", "those that have ended, too")
    .option("-q, --quiet", "only ids")
    .option("--no-trunc", "whole ids")
    .addOption(formatOption())
    .action((flags: Record<string, unknown>) =>
      act(async (context) => {
        const { psCommand } = await import("./ps.ts");
        return psCommand(context, {
          all: flags["all"] === true,
          quiet: flags["quiet"] === true,
          trunc: flags["trunc"] !== false,
          format: parseFormat(flags["format"] as string),
        });
      }),
    );

  command("wait <id>", "wait for a container's end, print its exit status, and exit with it").action((id: string) =>
    act(async (context) => {
      const { waitCommand } = await import("./wait.ts");
      return waitCommand(context, id);
    }),
  );

  command("kill <id> [signal]", "send a container a signal, SIGTERM by default")
    .option("-s, --signal <signal>", "the signal: TERM, SIGTERM or 15")
    .option("-a, --all", "to every process of the container")
    .action((id: string, signal: string | undefined, flags: Record<string, unknown>) =>
      act(async (context) => {
        if (signal !== undefined && flags["signal"] !== undefined)
          throw new CliError("two signals are one too many", "usage");
        const number = parseSignal(signal ?? (flags["signal"] as string | undefined) ?? "SIGTERM");
        const { killCommand } = await import("./kill.ts");
        return killCommand(context, id, number, flags["all"] === true);
      }),
    );

  command("rm <id>", "remove a container that has ended")
    .option("-f, --force", "end it first")
    .action((id: string, flags: Record<string, unknown>) =>
      act(async (context) => {
        const { rmCommand } = await import("./rm.ts");
        return rmCommand(context, id, flags["force"] === true);
      }),
    );

  command(
    "bundle <dir> [args...]",
    "make a bundle from Debian's busybox-static; ARGS after -- are what it runs, sh by default",
  )
    .usage("DIR [-- ARGS]")
    .action((dir: string, args: string[]) =>
      act(async () => {
        const { makeBundle } = await import("./new-bundle.ts");
        process.stdout.write(`${makeBundle(dir, args)}\n`);
        return exitCodes.ok;
      }),
    );

  command("version", "print the versions of everything that takes part")
    .addOption(new Option("--format <format>", "how to print").choices(["table", "json"]).default("table"))
    .action((flags: Record<string, unknown>) =>
      act(async (context) => {
        const { versionCommand } = await import("./version.ts");
        return versionCommand(context, flags["format"] as "table" | "json");
      }),
    );

  group(program);
  return program;
}

/** What --help shows together. */
const helpGroups: Readonly<Record<string, string>> = {
  "Run and hold containers:": "run attach exec pause resume kill wait rm bundle",
  "Look at them:": "ps stats top inspect logs log-level why events trace debug dump",
  "The machine and the command:": "doctor version completion",
};

function group(program: Command): void {
  for (const [title, names] of Object.entries(helpGroups)) {
    for (const command of program.commands) if (names.split(" ").includes(command.name())) command.helpGroup(title);
  }
}

/** All commands with their flags and help, for what is written of them (man pages). */
export function commandTree(): Command {
  return makeProgram(
    () => undefined,
    () => undefined,
  );
}

async function openContext(flags: GlobalFlags): Promise<Context> {
  const { env } = process;
  const config = await readConfigFile(flags.config ?? (env["MOOR_CONFIG"] || undefined));
  const settings = settingsOf(flags, env, config);
  return { settings, env, log: await openLog(settings), paint: paintFor(settings.color, env, process.stdout) };
}
