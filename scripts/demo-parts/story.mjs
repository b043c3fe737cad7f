// How the demonstrations speak and act: chapters, commands shown and run, programs on a real terminal whose output is
// shown as it comes, checks that end the story when they fail, and a clean-up that happens however it ends.

import { spawn as spawnChild, spawnSync } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import pty from "node-pty";
import pico from "picocolors";

const undo = [];
let chapters = 0;

/** Has `step` (synchronous) called when the story ends, in whatever way; the last one first. */
export function atEnd(step) {
  undo.push(step);
}

function cleanUp() {
  for (const step of undo.splice(0).reverse()) {
    try {
      step();
    } catch (thrown) {
      process.stdout.write(`  clean up: ${thrown.message}\n`);
    }
  }
}

/** Tells the story and ends the process: 0 when every check held, 1 otherwise. */
export async function tell(title, story) {
  for (const [signal, status] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ]) {
    process.on(signal, () => {
      cleanUp();
      process.exit(status);
    });
  }
  process.stdout.write(`\n${pico.bold(title)}\n`);
  const started = performance.now();
  try {
    await story();
    process.stdout.write(`\n${pico.green("That was it")}, in ${Math.round((performance.now() - started) / 1000)} s.\n`);
  } catch (thrown) {
    process.stdout.write(`\n${pico.red("The demonstration failed:")} ${thrown.message}\n`);
    process.exitCode = 1;
  }
  cleanUp();
  process.exit();
}

export function chapter(text) {
  process.stdout.write(`\n${pico.bold(`${++chapters}. ${text}`)}\n`);
}

export function say(text) {
  process.stdout.write(`   ${text}\n`);
}

/** Something that was looked at and is as it should be. */
export function seen(text) {
  process.stdout.write(`   ${pico.green("ok")}  ${text}\n`);
}

export function assert(condition, text) {
  if (!condition) throw new Error(text);
}

/** The condition's value, once it has one. @throws Error that names what was waited for. */
export async function until(what, seconds, condition) {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) throw new Error(`waited ${seconds} s in vain for ${what}`);
    await delay(20);
  }
}

/** Nothing is done for a while. */
export async function pass(seconds) {
  say(`... ${seconds} seconds pass`);
  await delay(seconds * 1000);
}

function showCommand(shown) {
  process.stdout.write(`   ${pico.cyan(`# ${shown}`)}\n`);
}

function showLine(line) {
  process.stdout.write(`   ${pico.dim("|")} ${line}\n`);
}

/** Runs a program to its end, shows it and what it prints, and returns that and its status. */
export function run(shown, argv, options = {}) {
  showCommand(shown);
  const result = spawnSync(argv[0], argv.slice(1), { encoding: "utf8", timeout: 20_000, ...options });
  if (result.error !== undefined) throw new Error(`${shown}: ${result.error.message}`);
  for (const line of `${result.stdout}${result.stderr}`.split("\n")) if (line !== "") showLine(line);
  return { status: result.status, stdout: result.stdout, stderr: result.stderr };
}

/** As run; a status other than 0 ends the story. */
export function runOk(shown, argv, options = {}) {
  const result = run(shown, argv, options);
  assert(result.status === 0, `${shown} ended with status ${result.status}`);
  return result;
}

/** What a program prints line by line, each line shown when it is there, and its end. */
class Shown {
  lines = [];
  #partial = "";
  #exit;

  /** @param exit resolves to the program's status once everything it printed was taken. */
  constructor(pid, exit) {
    this.pid = pid;
    this.#exit = exit;
  }

  take(text) {
    const parts = (this.#partial + text).replaceAll("\r", "").split("\n");
    this.#partial = parts.pop();
    for (const line of parts.filter((part) => part !== "")) {
      this.lines.push(line);
      showLine(line);
    }
  }

  /** Waits for a line that matches, from line `from` on. */
  line(pattern, seconds, from = 0) {
    return until(`a line like ${pattern}`, seconds, () => this.lines.slice(from).find((line) => pattern.test(line)));
  }

  async status(seconds) {
    const end = await Promise.race([this.#exit, delay(seconds * 1000, undefined)]);
    assert(end !== undefined, `the program did not end within ${seconds} s`);
    this.take("\n");
    return end;
  }
}

/** Runs a program on a terminal of its own, as a person would see it; `type` presses keys. */
export function onTerminal(shown, argv, env) {
  showCommand(shown);
  const terminal = pty.spawn(argv[0], argv.slice(1), { cols: 80, rows: 24, env });
  const exit = new Promise((resolve) => terminal.onExit(({ exitCode }) => resolve(exitCode)));
  const program = new Shown(terminal.pid, exit);
  terminal.onData((text) => program.take(text));
  program.type = (keys) => terminal.write(keys);
  return program;
}

/** Runs a program in the background with its output shown as it comes. */
export function inBackground(shown, argv, env) {
  showCommand(shown);
  const child = spawnChild(argv[0], argv.slice(1), { env, stdio: ["ignore", "pipe", "pipe"] });
  const exit = new Promise((resolve) => {
    child.on("close", (status, signal) => resolve(status ?? signal));
    child.on("error", (cause) => resolve(cause.message));
  });
  const program = new Shown(child.pid, exit);
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => program.take(chunk.toString()));
  program.kill = (signal) => child.kill(signal);
  return program;
}
