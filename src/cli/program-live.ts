// The commands that look at containers while they run and hold them: their flags, their help, and what each one calls.

import { Option } from "commander";
import { exitCodes } from "./cli-error.ts";
import { parseDuration } from "./duration.ts";
import { formatOption, parseFormat } from "./output.ts";
import type { ProgramParts } from "./program-parts.ts";

const debugHelp = `
It joins the container's network, IPC, host name and process namespaces. Files and programs are the host's, as root, with
a /proc of its own that shows the container's processes; the container's files are in the current folder, which is also
$MOOR_CONTAINER_ROOT. The user namespace and the cgroup are not joined, so the container's limits do not hold here. When
the container's init ends, so does the shell, if it has its own process namespace.`;

const completionHelp = `
bash:  source <(moor completion bash)
zsh:   moor completion zsh > "\${fpath[1]}/_moor"
fish:  moor completion fish > ~/.config/fish/completions/moor.fish`;

/** Adds pause, resume, stats, top, doctor, events, dump, debug and completion. */
export function addLiveCommands({ program, command, act }: ProgramParts): void {
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

  command("doctor", "look over the machine and every shim: what is wrong, what it means, how it is mended")
    .option("--fix", "mend what can be mended without touching anything that lives")
    .option("--sockets <dir>", "where shims have their sockets", "/run/containerd/s")
    .option("--unit-dir <dir>", "read the daemon's unit from the files here, not from systemd")
    .addOption(new Option("--format <format>", "how to print").choices(["table", "json"]).default("table"))
    .action((flags: Record<string, unknown>) =>
      act(async (context) => {
        const { doctorCommand } = await import("./doctor.ts");
        return doctorCommand(context, {
          fix: flags["fix"] === true,
          format: flags["format"] as "table" | "json",
          sockets: flags["sockets"] as string,
          units: flags["unitDir"] as string | undefined,
        });
      }),
    );

  command("events", "what has happened as far as it is on record, and with -f what happens now")
    .option("-f, --follow", "go on telling, until Ctrl-C")
    .addOption(formatOption())
    .addHelpText(
      "after",
      "\nWithout -f: exits that are on record, and events that wait for a daemon. Of containers whose\ndaemon is not there only starts, pauses and ends are seen, if they last a quarter of a second; execs are not.",
    )
    .action((flags: Record<string, unknown>) =>
      act(async (context) => {
        const { eventsCommand } = await import("./events.ts");
        const format = parseFormat(flags["format"] as string);
        return eventsCommand(context, { follow: flags["follow"] === true, format });
      }),
    );

  command("dump <id>", "write a support bundle (tar.gz) of a container and its shim, without the values of variables")
    .option("-o, --output <file>", "where to; moor-ID-TIME.tar.gz in this folder by default, - is standard output")
    .action((id: string, flags: Record<string, unknown>) =>
      act(async (context) => {
        const { dumpCommand } = await import("./dump.ts");
        return dumpCommand(context, id, flags["output"] as string | undefined);
      }),
    );

  command("debug <id> [command...]", "a shell with the host's tools in a container's namespaces")
    .usage("[--record FILE] ID [-- CMD]")
    .option("--record <file>", "write what is shown to a file (asciicast v2)")
    .addHelpText("after", debugHelp)
    .action((id: string, words: string[], flags: Record<string, unknown>) =>
      act(async (context) => {
        const { debugCommand } = await import("./debug.ts");
        return debugCommand(context, id, words, flags["record"] as string | undefined);
      }),
    );

  command("completion <shell>", "print what has a shell complete moor's commands, flags and ids")
    .addHelpText("after", completionHelp)
    .action((shell: string) =>
      act(async () => {
        const { completionFor } = await import("./completion.ts");
        process.stdout.write(completionFor(shell, program));
        return exitCodes.ok;
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
