// The time between the first trace of a container on the machine and its start. A signal in that time stops the
// command at its next step, which then undoes what was done; should the command end in any other way, signal-exit has
// the same undone at once.

import { onExit } from "signal-exit";
import { CliError, exitCodes } from "./cli-error.ts";
import { signalNumber } from "./signals.ts";

const stopping = ["SIGHUP", "SIGINT", "SIGTERM"] as const;

export class StartGuard {
  readonly #forget: () => void;
  #asked: NodeJS.Signals | undefined;

  /** @param undoNow undoes everything without waiting for anything; called at most once. */
  constructor(undoNow: () => void) {
    // The listeners below keep signals from ending the process, so that this one is for exits and other signals.
    this.#forget = onExit(() => undoNow());
    for (const name of stopping) process.on(name, this.#ask);
  }

  readonly #ask = (name: NodeJS.Signals): void => {
    this.#asked ??= name;
  };

  /** @throws CliError when somebody asked to stop. */
  check(): void {
    if (this.#asked === undefined) return;
    throw new CliError(
      `stopped by ${this.#asked} before the container ran`,
      exitCodes.signalBase + signalNumber(this.#asked),
    );
  }

  /** The container is started, or everything is undone: signals mean something else from now on. */
  release(): void {
    this.#forget();
    for (const name of stopping) process.removeListener(name, this.#ask);
  }
}
