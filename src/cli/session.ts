// A person (or a pipe) attached to a running container or exec: bytes both ways, the window's size, signals, the detach keys,
// and the end. It opens and closes what it is given; the shim and the container live on whatever becomes of it.

import type { Socket } from "node:net";
import { finished } from "node:stream";
import { exitCodes, textOf } from "./cli-error.ts";
import { DetachRecogniser } from "./detach-keys.ts";
import { writeTo } from "./fifo.ts";
import type { CliLog } from "./log.ts";
import { makeRaw, windowSize } from "./raw-terminal.ts";
import type { SessionProcess } from "./shim-client.ts";
import { signalNumber } from "./signals.ts";

/** Our ends of the container's FIFOs; a stream that the container has not is undefined. */
export interface SessionStreams {
  readonly stdin: Socket | undefined;
  readonly stdout: Socket | undefined;
  readonly stderr: Socket | undefined;
}

export interface SessionOptions {
  /** The process's stdio is a terminal. */
  readonly terminal: boolean;
  readonly detachKeys: Uint8Array;
  /** The end of our input becomes the end of the container's. */
  readonly passInputEnd: boolean;
  /** Signals sent to us go to the container, when it has no terminal. */
  readonly passSignals: boolean;
}

export type SessionEnd =
  | { readonly kind: "exited"; readonly status: number }
  /** By the detach keys. */
  | { readonly kind: "detached" }
  /** Whoever read our output has left (EPIPE). */
  | { readonly kind: "reader-gone" }
  /** Asked three times to end while the container does not. */
  | { readonly kind: "given-up"; readonly signal: number };

const passedSignals = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2"] as const;
const patience = 3;
/** How long after the exit a stream without end may be silent: a process that escaped may hold it for ever. */
const quietMs = 1_000;
/** Keys typed ahead of a container that does not read; more than that stops being taken from the terminal. */
const inputAheadBytes = 1 << 20;

export class Session {
  readonly #process: SessionProcess;
  readonly #streams: SessionStreams;
  readonly #options: SessionOptions;
  readonly #log: CliLog;
  readonly #undo: (() => void)[] = [];
  readonly #end: Promise<SessionEnd>;
  #finish: (end: SessionEnd) => void = () => undefined;
  #lastOutputMs = 0;
  /** Of our own outputs, those whose reader is slow: silence on the other side means nothing then. */
  #held = 0;

  constructor(process: SessionProcess, streams: SessionStreams, options: SessionOptions, log: CliLog) {
    this.#process = process;
    this.#streams = streams;
    this.#options = options;
    this.#log = log;
    this.#end = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  /**
   * Runs until the container has ended and its output has come, or the person leaves.
   * @throws CliError when the terminal cannot be set; the error of Wait when the shim is lost.
   */
  async run(): Promise<SessionEnd> {
    try {
      if (this.#options.terminal && process.stdin.isTTY) this.#takeTerminal();
      if (this.#options.passSignals && !this.#options.terminal) this.#passSignals();
      const ends = [
        this.#copyOut(this.#streams.stdout, process.stdout),
        this.#copyOut(this.#streams.stderr, process.stderr),
      ];
      this.#copyIn();
      const exited = this.#process.wait().then(async (exit) => {
        await this.#drained(Promise.all(ends));
        return { kind: "exited", status: exit.exitStatus } as const;
      });
      return await Promise.race([exited, this.#end]);
    } finally {
      for (const undo of this.#undo.reverse()) undo();
      process.stdin.pause();
      for (const stream of Object.values(this.#streams) as (Socket | undefined)[]) stream?.destroy();
    }
  }

  #takeTerminal(): void {
    this.#undo.push(makeRaw());
    const resize = (): void => {
      const size = windowSize();
      if (size === undefined) return;
      this.#process.resize(size.columns, size.rows).catch((thrown: unknown) => {
        // The process may have ended between the change and our word of it.
        this.#log.debug("resize the container's terminal", { error: textOf(thrown) });
      });
    };
    // Node tells the new size of stdout only after the signal, in its own handler.
    process.stdout.on("resize", resize);
    this.#undo.push(() => process.stdout.removeListener("resize", resize));
    if (!process.stdout.isTTY) {
      process.on("SIGWINCH", resize);
      this.#undo.push(() => process.removeListener("SIGWINCH", resize));
    }
    resize();
  }

  #passSignals(): void {
    let asked = 0;
    for (const name of passedSignals) {
      const signal = signalNumber(name);
      const pass = (): void => {
        if (name === "SIGINT" || name === "SIGTERM") asked++;
        if (asked >= patience) return this.#finish({ kind: "given-up", signal });
        this.#process.kill(signal).catch((thrown: unknown) => {
          this.#log.debug(`pass ${name} on`, { error: textOf(thrown) });
        });
      };
      process.on(name, pass);
      this.#undo.push(() => process.removeListener(name, pass));
    }
  }

  /** Copies until the stream ends. */
  #copyOut(from: Socket | undefined, to: NodeJS.WriteStream): Promise<void> {
    if (from === undefined) return Promise.resolve();
    const readerGone = (): void => this.#finish({ kind: "reader-gone" });
    to.on("error", readerGone);
    this.#undo.push(() => {
      // What was written last may fail yet; it must find a listener, or Node takes it for an unhandled error.
      to.removeListener("error", readerGone);
      to.on("error", () => undefined);
    });
    return new Promise((resolve) => {
      from.on("data", (chunk) => {
        this.#lastOutputMs = performance.now();
        if (to.write(chunk)) return;
        from.pause();
        this.#held++;
        to.once("drain", () => {
          this.#held--;
          this.#lastOutputMs = performance.now();
          from.resume();
        });
      });
      // Not by its events: a process that wrote nothing may have ended before there was anyone to listen.
      finished(from, { writable: false }, (fault) => {
        if (fault) this.#log.debug("read the container's output", { error: fault.message });
        resolve();
      });
    });
  }

  async #drained(ended: Promise<unknown>): Promise<void> {
    this.#lastOutputMs = performance.now();
    let over = false;
    void ended.then(() => {
      over = true;
    });
    let timer: NodeJS.Timeout | undefined;
    const silent = new Promise<void>((resolve) => {
      const check = (): void => {
        const leftMs = this.#held > 0 ? quietMs : this.#lastOutputMs + quietMs - performance.now();
        if (over || leftMs <= 0) resolve();
        else timer = setTimeout(check, leftMs);
      };
      check();
    });
    await Promise.race([ended, silent]);
    clearTimeout(timer);
  }

  #copyIn(): void {
    const { stdin: fifo } = this.#streams;
    const { detachKeys, terminal } = this.#options;
    // The keys mean something on a terminal only: in a pipe they are data.
    const recogniser = new DetachRecogniser(terminal && process.stdin.isTTY ? detachKeys : new Uint8Array(0));
    if (fifo === undefined && !process.stdin.isTTY) return;
    let closed = fifo === undefined;
    fifo?.on("error", (fault) => {
      this.#log.debug("write the container's input", { error: fault.message });
      closed = true;
    });
    fifo?.on("drain", () => process.stdin.resume());
    const take = (chunk: Buffer): void => {
      const { pass, detached } = recogniser.feed(chunk);
      if (!closed && pass.length > 0 && fifo !== undefined) {
        const room = fifo.write(pass);
        if (!room && (!process.stdin.isTTY || fifo.writableLength > inputAheadBytes)) process.stdin.pause();
      }
      if (detached) this.#finish({ kind: "detached" });
    };
    const end = (): void => {
      if (fifo !== undefined && this.#options.passInputEnd) void this.#endInput(fifo);
    };
    const broken = (fault: Error): void => {
      // A hung-up terminal answers EIO: the end of input, too.
      this.#log.debug("read our input", { error: fault.message });
      end();
    };
    process.stdin.on("data", take);
    process.stdin.on("end", end);
    process.stdin.on("error", broken);
    this.#undo.push(() => {
      process.stdin.removeListener("data", take);
      process.stdin.removeListener("end", end);
      process.stdin.removeListener("error", broken);
      process.stdin.on("error", () => undefined);
    });
  }

  // Everything is in the FIFO and our end closed before the shim is told that no more will come: its own end of file is
  // the end of the FIFO without writers.
  async #endInput(fifo: Socket): Promise<void> {
    await writeTo(fifo, new Uint8Array(0));
    await new Promise((resolve) => {
      fifo.once("close", resolve);
      fifo.destroy();
    });
    await this.#process.closeInput().catch((thrown: unknown) => {
      this.#log.debug("close the container's input", { error: textOf(thrown) });
    });
  }
}

/** The exit status of the command for this end of a session. */
export function statusOfSession(end: SessionEnd): number {
  switch (end.kind) {
    case "exited":
      return end.status;
    case "detached":
      return exitCodes.ok;
    case "reader-gone":
      return exitCodes.signalBase + signalNumber("SIGPIPE");
    case "given-up":
      return exitCodes.signalBase + end.signal;
  }
}
