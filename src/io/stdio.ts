// The standard streams of one process, from before its start until the last byte that a grandchild writes long after its
// end. The bytes go through pumps in the host; here is decided what is opened, when it is closed, and what waits for what.

import { settledWithin } from "../reaper/deadline.ts";
import { isErrno } from "../sys/errno.ts";
import { MoorError, must } from "../sys/error.ts";
import type { Fd, FdMapping } from "../sys/sys.d.ts";
import { ConsoleSocket } from "./console-socket.ts";
import { Openings, type StdioContext, type StdioSetup } from "./openings.ts";
import { type KeptFd, keepFd, type KeptStream, type StreamState } from "./stream.ts";

// The types that come with it, by the name of the file its users import.
export type { StdioContext, StdioSetup, StreamState };

/** The runtime sends the terminal before it returns; this is for a machine that stands still. */
const terminalWithinMs = 5_000;
/** How long a logger may take to write down what it has, once its process is deleted. */
const loggerPatienceMs = 10_000;

/** Plain data by which another image of the program goes on with the streams of a process. */
export interface KeptStdio {
  readonly streams: readonly (KeptStream & { readonly survives: boolean })[];
  readonly terminal: KeptFd | undefined;
  readonly size: { readonly columns: number; readonly rows: number } | undefined;
  readonly logger: { readonly pid: number; readonly file: string } | undefined;
}

/** What is taken over from the image before. */
export interface ResumedStdio {
  readonly terminal: Fd | undefined;
  readonly size: { readonly columns: number; readonly rows: number } | undefined;
}

/**
 * Checks the addresses and opens everything that can be opened before the runtime runs: pipes, FIFOs (both ends held, never
 * waiting for a client), files, the logger (started and ready), the console socket for a terminal.
 * @throws MoorError invalid_argument for an address that makes no sense, else the cause; everything is undone then.
 */
export async function openStdio(context: StdioContext, setup: StdioSetup): Promise<Stdio> {
  const openings = new Openings(context, setup);
  try {
    await openings.open();
    return new Stdio(context, setup, openings);
  } catch (thrown) {
    openings.close();
    throw thrown;
  }
}

export class Stdio {
  /** Resolves when every stream has ended and the logger is gone, after release() or abort(). Never rejects. */
  readonly ended: Promise<void>;
  readonly #context: StdioContext;
  readonly #setup: StdioSetup;
  readonly #openings: Openings;
  readonly #console: ConsoleSocket | undefined;
  /** The PTY's master, for sizes; the pumps have fds of their own. */
  #terminal: Fd | undefined;
  #wantedSize: { readonly columns: number; readonly rows: number } | undefined;
  #attached = false;
  #aborted = false;
  #leave: () => void = () => undefined;

  /**
   * Takes over what is open.
   * @param resumed the process has its streams since an image before this one.
   * @throws MoorError when there can be no console socket; the openings are the caller's then.
   */
  constructor(context: StdioContext, setup: StdioSetup, openings: Openings, resumed?: ResumedStdio) {
    this.#context = context;
    this.#setup = setup;
    this.#openings = openings;
    if (resumed !== undefined) {
      this.#attached = true;
      this.#terminal = resumed.terminal;
      this.#wantedSize = resumed.size;
    } else if (setup.terminal) {
      this.#console = new ConsoleSocket(context.sys, setup.bundle, (master) => this.#setSize(master));
    }
    const left = new Promise<void>((resolve) => {
      this.#leave = resolve;
    });
    const ends = openings.streams.map(({ stream }) => stream.ended);
    this.ended = Promise.all([left, ...ends, openings.logger?.ended]).then(() => undefined);
    if (resumed?.terminal !== undefined) this.#watchTerminal();
  }

  /** What the runtime passes to the process as 0, 1 and 2; empty with a terminal, and once attached. */
  get childFds(): readonly FdMapping[] {
    return this.#openings.childFds;
  }

  /** For --console-socket; undefined without a terminal. */
  get consoleSocket(): string | undefined {
    return this.#console?.path;
  }

  /**
   * The runtime call has succeeded: closes the process's ends, takes the terminal that the runtime sent, starts the pumps.
   * Call it once.
   * @throws MoorError when no terminal came, or a pump cannot start; everything is closed then.
   */
  async attach(): Promise<void> {
    try {
      if (this.#aborted) throw new MoorError("canceled", "the process's streams are closed");
      this.#openings.closeChildFds();
      if (this.#console === undefined) {
        for (const { stream, survives } of this.#openings.streams) stream.start({ survives });
      } else {
        await this.#attachTerminal(this.#console);
      }
      this.#attached = true;
      this.#context.changed?.();
    } catch (thrown) {
      this.abort();
      throw thrown;
    }
  }

  /** The runtime call has failed, or there will be no process: closes everything, ends the logger. Any number of times. */
  abort(): void {
    this.#aborted = true;
    this.#console?.close();
    this.#openings.close();
    this.#closeTerminal();
    this.#leave();
  }

  /**
   * Sets the terminal's size; before attach() it is remembered, once the terminal is gone nothing happens.
   * @throws MoorError failed_precondition without a terminal; invalid_argument for a size that no terminal has.
   */
  resize(columns: number, rows: number): void {
    if (!this.#setup.terminal) throw new MoorError("failed_precondition", "resize: the process has no terminal");
    for (const size of [columns, rows]) {
      if (size > 0xffff)
        throw new MoorError("invalid_argument", `resize: ${columns} x ${rows} is no size of a terminal`);
    }
    this.#wantedSize = { columns, rows };
    this.#context.changed?.();
    if (this.#terminal !== undefined) this.#setSize(this.#terminal);
  }

  /**
   * No more input: what the FIFO holds is passed on, and the end when no client has it open. Any time, any number of times,
   * also without stdin. To a terminal no end is sent: it has none.
   */
  closeStdin(): void {
    for (const { stream } of this.#openings.streams) if (stream.name === "stdin") stream.letGo();
  }

  /**
   * After the process's exit: resolves when all it has written is on its way to the reader, or the reader takes no more
   * now, or boundMs have passed. Not at the end of the stream, which a grandchild may keep open. Never rejects.
   */
  async drained(boundMs: number): Promise<void> {
    this.closeStdin();
    const outputs = this.#openings.streams.filter(({ stream }) => stream.name !== "stdin");
    await settledWithin(this.#context.sys, boundMs, Promise.all(outputs.map(({ stream }) => stream.drained())));
  }

  /**
   * At Delete: the FIFOs are no longer held open for readers to come, and stdin is closed. Output that still has bytes or a
   * writer goes on as long as it has a reader. Returns at once; any number of times.
   */
  release(): void {
    if (!this.#attached) {
      this.abort();
      return;
    }
    for (const { stream } of this.#openings.streams) {
      if (stream.name === "stdin") stream.stop();
      else stream.letGo();
    }
    this.#closeTerminal();
    this.#openings.logger?.dismiss(loggerPatienceMs);
    this.#leave();
  }

  /** What another image would need; undefined as long as the process has no streams. */
  keep(): KeptStdio | undefined {
    if (!this.#attached) return undefined;
    const { streams, logger } = this.#openings;
    return {
      streams: streams.flatMap(({ stream, survives }) => {
        const kept = stream.keep();
        return kept === undefined ? [] : [{ ...kept, survives }];
      }),
      terminal: keepFd(this.#context.sys, this.#terminal),
      size: this.#wantedSize,
      logger: logger?.keep(),
    };
  }

  /** What is open, but for what pumps have. */
  get fds(): readonly Fd[] {
    const fds = this.#openings.streams.flatMap(({ stream }) => stream.fds);
    return this.#terminal === undefined ? fds : [...fds, this.#terminal];
  }

  /** As the kernel has it; undefined without a terminal, and when that is gone. */
  get terminalSize(): { readonly rows: number; readonly columns: number } | undefined {
    const size = this.#terminal === undefined ? undefined : this.#context.sys.ttySize(this.#terminal);
    return size === undefined || isErrno(size) ? undefined : size;
  }

  /** Plain data for the state dump. */
  state(): readonly StreamState[] {
    const states = this.#openings.streams.map(({ stream }) => stream.state());
    if (this.#openings.logger === undefined || this.#setup.terminal) return states;
    const uri = this.#setup.stdout;
    const direct = (["stdout", "stderr"] as const).map(
      (name): StreamState => ({ name, uri, state: "with the logger", bytes: 0n }),
    );
    return [...states, ...direct];
  }

  async #attachTerminal(console: ConsoleSocket): Promise<void> {
    const { sys } = this.#context;
    const master = await console.takeMaster(terminalWithinMs);
    this.#terminal = master;
    this.#setSize(master);
    for (const { stream, survives } of this.#openings.streams) {
      stream.start({ missing: must(sys.dup(master), "keep the terminal"), survives });
    }
    this.#watchTerminal();
  }

  /** Its last process is gone: there is nothing left to write to, and no size. */
  #watchTerminal(): void {
    const { streams } = this.#openings;
    const output = streams.find(({ stream }) => stream.name === "stdout");
    void output?.stream.ended.then(() => {
      this.#closeTerminal();
      for (const { stream } of streams) if (stream.name === "stdin") stream.stop();
    });
  }

  #setSize(master: Fd): void {
    // A terminal that is gone has no size: nothing to tell anybody.
    if (this.#wantedSize !== undefined) {
      this.#context.sys.ttySetSize(master, this.#wantedSize.rows, this.#wantedSize.columns);
    }
  }

  #closeTerminal(): void {
    if (this.#terminal !== undefined) this.#context.sys.close(this.#terminal);
    this.#terminal = undefined;
    this.#context.changed?.();
  }
}
