#!/usr/bin/env node
// Writes the man pages of the moor command, made of its commands as they are: moor.1, and moor-COMMAND.1 for each. Needs
// what scripts/build-js has compiled.
//
//   build-man.mjs [OUT]          OUT is build/man by default

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const top = join(dirname(fileURLToPath(import.meta.url)), "..");
const out = resolve(process.argv[2] ?? join(top, "build/man"));
const { version } = JSON.parse(readFileSync(join(top, "package.json"), "utf8"));
const { commandTree } = await import(join(top, "build/js/src/cli/program.js"));

const statuses = [
  ["0", "done"],
  ["1", "not done"],
  ["2", "wrong usage"],
  ["125", "of run, exec, attach and debug: moor itself failed, or was used wrongly"],
  ["126, 127", "of run, exec and debug: the program cannot be run, is not there"],
  ["128+N", "ended by signal N"],
];

/** Text as roff takes it: no backslash and no hyphen of its own, no line that begins with a request. */
const plain = (text) =>
  text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll(/^([.'])/gm, "\\&$1");
const entry = (term, text) => [".TP", `.B ${plain(term)}`, plain(text)];
const options = (command) =>
  command.options
    .filter((option) => !option.hidden)
    .flatMap(({ flags, description, defaultValue, argChoices }) => {
      const choices = argChoices === undefined ? "" : ` (${argChoices.join(", ")})`;
      const usual = typeof defaultValue === "string" ? `; ${defaultValue} by default` : "";
      return entry(flags, `${description}${choices}${usual}`);
    });
/** What addHelpText has added. */
const notes = (command) => {
  let text = "";
  const context = { error: false, command, write: (words) => (text += words) };
  command.emit("afterHelp", context);
  return text.trim() === "" ? [] : [".SH NOTES", ".nf", plain(text.trim()), ".fi"];
};
const page = (name, lines) => {
  const head = `.TH ${name.toUpperCase()} 1 "" "moor ${version}" "moor"`;
  writeFileSync(join(out, `${name}.1`), `${[head, ...lines].join("\n")}\n`);
};

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const program = commandTree();
const commands = [...program.commands].sort((a, b) => a.name().localeCompare(b.name()));
for (const command of commands) {
  const name = `moor-${command.name()}`;
  page(name, [
    ".SH NAME",
    plain(`${name} - ${command.description()}`),
    ".SH SYNOPSIS",
    `.B moor ${plain(command.name())}`,
    plain(command.usage()),
    ...(command.options.length > 0 ? [".SH OPTIONS", ...options(command)] : []),
    ...notes(command),
    ".SH SEE ALSO",
    ".BR moor (1)",
  ]);
}
page("moor", [
  ".SH NAME",
  plain(`moor - ${program.description().replace(/^./, (letter) => letter.toLowerCase())}`),
  ".SH SYNOPSIS",
  ".B moor",
  "[options] command [arguments]",
  ".SH COMMANDS",
  ...commands.flatMap((command) => entry(`${command.name()} ${command.usage()}`, command.description())),
  ".SH OPTIONS",
  "Options of moor itself stand before the command.",
  ...options(program),
  ".SH EXIT STATUS",
  ...statuses.flatMap(([status, text]) => entry(status, text)),
  ".SH FILES",
  ...entry("/etc/moor/moor.toml", "settings; keys are the long options' names"),
  ...entry("/run/moor", "state of containers without a daemon"),
  ".SH SEE ALSO",
  commands.map((command) => `.BR moor\\-${plain(command.name())} (1)`).join(",\n"),
]);
