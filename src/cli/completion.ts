// `moor completion bash|zsh|fish`: scripts made of the commands as they are, which ask `moor ps` for live ids.

import type { Command } from "commander";
import { CliError } from "./cli-error.ts";

interface Known {
  readonly name: string;
  readonly text: string;
  readonly flags: readonly { readonly words: readonly string[]; readonly text: string; readonly takes: boolean }[];
  /** Its first argument is a container's id. */
  readonly wantsId: boolean;
}

/** The script for one shell. @throws CliError usage for a shell that is not known. */
export function completionFor(shell: string, program: Command): string {
  const commands = program.commands.map(knownOf).sort((a, b) => a.name.localeCompare(b.name));
  const all = knownOf(program);
  if (shell === "bash") return bashScript(commands, all);
  if (shell === "zsh")
    return `#compdef moor\nautoload -U +X bashcompinit && bashcompinit\n${bashScript(commands, all)}`;
  if (shell === "fish") return fishScript(commands, all);
  throw new CliError(`the shell ${JSON.stringify(shell)}: it is bash, zsh or fish`, "usage");
}

function knownOf(command: Command): Known {
  return {
    name: command.name(),
    text: command.description(),
    flags: command.options
      .filter((option) => !option.hidden)
      .map((option) => ({
        words: [option.short, option.long].filter((word) => word !== undefined),
        text: option.description,
        takes: option.required || option.optional,
      })),
    wantsId: /^ids?$/.test(command.registeredArguments[0]?.name() ?? ""),
  };
}

function bashScript(commands: readonly Known[], all: Known): string {
  const flagsOf = ({ flags }: Known): string => [...flags.flatMap(({ words }) => words), "--help"].join(" ");
  const taking = [...new Set([all, ...commands].flatMap(({ flags }) => flags.filter((flag) => flag.takes)))];
  const withValue = [...new Set(taking.flatMap(({ words }) => words))].sort();
  const cases = commands.map((command) => {
    const ids = command.wantsId ? "$(moor ps -a -q 2>/dev/null)" : "";
    return `    ${command.name}) words="${flagsOf(command)}"; ids="${ids}" ;;`;
  });
  return `# moor's completion for bash; made by: moor completion bash
_moor() {
  local at word command="" words ids=""
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]}
  for ((at = 1; at < COMP_CWORD; at++)); do
    word=\${COMP_WORDS[at]}
    case $word in
    ${withValue.join("|")}) ((at++)) ;;
    -*) ;;
    *) command=$word; break ;;
    esac
  done
  case $before in
    --format) COMPREPLY=($(compgen -W "table json" -- "$current")); return ;;
    --color) COMPREPLY=($(compgen -W "auto always never" -- "$current")); return ;;
    --log-level) COMPREPLY=($(compgen -W "error warn info debug" -- "$current")); return ;;
    ${withValue.filter((flag) => !["--format", "--color", "--log-level"].includes(flag)).join("|")})
      COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  case $command in
    "") words="${commands.map(({ name }) => name).join(" ")} help ${flagsOf(all)}" ;;
${cases.join("\n")}
    *) words="" ;;
  esac
  case $command in
    run|bundle) [[ $current == -* ]] || { COMPREPLY=($(compgen -d -- "$current")); return; } ;;
    completion) words="bash zsh fish" ;;
  esac
  [[ $current == -* ]] || [ -z "$command" ] || [ "$command" = completion ] || words=""
  COMPREPLY=($(compgen -W "$words $ids" -- "$current"))
}
complete -F _moor moor
`;
}

function fishScript(commands: readonly Known[], all: Known): string {
  const quoted = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const flagLines = (condition: string, { flags }: Known): string[] =>
    flags.map(({ words, text, takes }) => {
      const names = words.map((word) => (word.startsWith("--") ? `-l ${word.slice(2)}` : `-s ${word.slice(1)}`));
      return `complete -c moor -n ${quoted(condition)} ${names.join(" ")}${takes ? " -r" : ""} -d ${quoted(text)}`;
    });
  const lines = ["# moor's completion for fish; made by: moor completion fish", "complete -c moor -f"];
  lines.push(...flagLines("__fish_use_subcommand", all));
  for (const command of commands) {
    const inside = `__fish_seen_subcommand_from ${command.name}`;
    lines.push(`complete -c moor -n __fish_use_subcommand -a ${command.name} -d ${quoted(command.text)}`);
    lines.push(...flagLines(inside, command));
    if (command.wantsId) lines.push(`complete -c moor -n ${quoted(inside)} -a '(moor ps -a -q 2>/dev/null)'`);
    if (command.name === "run" || command.name === "bundle") lines.push(`complete -c moor -n ${quoted(inside)} -F`);
    if (command.name === "completion") lines.push(`complete -c moor -n ${quoted(inside)} -a 'bash zsh fish'`);
  }
  return `${lines.join("\n")}\n`;
}
