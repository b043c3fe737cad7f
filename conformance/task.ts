// One process of a container under test, init or exec, with the client's ends of its streams.

import { rmSync } from "node:fs";
import { join } from "node:path";
import type { DeleteResponse, StateResponse, WaitResponse } from "../src/api/task.ts";
import { FifoReader, FifoWriter, makeFifos, type Reading } from "../test/harness/fifo.ts";
import type { Shim } from "./shim.ts";

const waitMs = 20_000;

export interface StreamsWish {
  readonly terminal?: boolean;
  /** A FIFO for stdin. */
  readonly stdin?: boolean;
  /** "text" keeps the output, "pattern" checks it as it comes, "unread" makes the FIFOs and opens none; else no output. */
  readonly output?: "text" | "pattern" | "unread";
  readonly reading?: Reading;
  /** Only stdout. */
  readonly noStderr?: boolean;
}

export class Task {
  readonly execId: string;
  readonly stdin: FifoWriter;
  /** The part of the request that is about streams. */
  readonly request: {
    readonly stdin: string;
    readonly stdout: string;
    readonly stderr: string;
    readonly terminal: boolean;
  };
  pid = 0;
  readonly #shim: Shim;
  readonly #fifos: string[];
  readonly #stdout: FifoReader | undefined;
  readonly #stderr: FifoReader | undefined;

  constructor(shim: Shim, execId: string, wish: StreamsWish) {
    this.#shim = shim;
    this.execId = execId;
    const { fifoDir } = shim.ground;
    const base = join(fifoDir, execId === "" ? shim.id : `${shim.id}.${execId}`);
    const path = (name: string, isWanted: boolean): string => (isWanted ? `${base}.${name}` : "");
    const terminal = wish.terminal === true;
    const hasOutput = wish.output !== undefined;
    this.request = {
      stdin: path("in", wish.stdin === true),
      stdout: path("out", hasOutput),
      stderr: path("err", hasOutput && !terminal && wish.noStderr !== true),
      terminal,
    };
    const { stdin, stdout, stderr } = this.request;
    this.#fifos = [stdin, stdout, stderr].filter((each) => each !== "");
    makeFifos(this.#fifos);
    const reader = (fifo: string): FifoReader | undefined =>
      fifo === "" || wish.output === "unread" ? undefined : new FifoReader(fifo, wish.output === "text", wish.reading);
    this.#stdout = reader(stdout);
    this.#stderr = reader(stderr);
    this.stdin = new FifoWriter(stdin);
  }

  get out(): FifoReader {
    if (this.#stdout === undefined) throw new Error("the case does not read this process's stdout");
    return this.#stdout;
  }

  get err(): FifoReader {
    if (this.#stderr === undefined) throw new Error("the case does not read this process's stderr");
    return this.#stderr;
  }

  async start(): Promise<number> {
    this.pid = (await this.#shim.call("Start", { execId: this.execId })).pid;
    return this.pid;
  }

  wait(deadlineMs = waitMs): Promise<WaitResponse> {
    return this.#shim.call("Wait", { execId: this.execId }, { deadlineMs });
  }

  state(): Promise<StateResponse> {
    return this.#shim.call("State", { execId: this.execId });
  }

  async kill(signal: number, all = false): Promise<void> {
    await this.#shim.call("Kill", { execId: this.execId, signal, all });
  }

  /** Closes the client's end of stdin and tells the shim, as clients do. */
  async closeStdin(): Promise<void> {
    await this.stdin.close();
    await this.#shim.call("CloseIO", { execId: this.execId, stdin: true });
  }

  delete(): Promise<DeleteResponse> {
    return this.#shim.call("Delete", { execId: this.execId });
  }

  /** Closes and removes the client's FIFOs. */
  forget(): void {
    this.#stdout?.close();
    this.#stderr?.close();
    void this.stdin.close();
    for (const fifo of this.#fifos) rmSync(fifo, { force: true });
  }
}
