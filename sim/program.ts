// What a process in a container does: writes output in pieces, reads its input, leaves children behind that hold its
// streams, takes or ignores signals, and ends some time, by itself, by a signal, or not before it is killed.

import { EAGAIN, EPIPE, isErrno } from "../src/sys/errno.ts";
import type { VirtualContainer } from "./container.ts";
import type { Kernel } from "./kernel.ts";
import type { VirtualProcess } from "./processes.ts";

const SIGPIPE = 13;

/** What was written to one stream, by a process and those that got the stream from it: byte N has the value N mod 256. */
export class Output {
  written = 0;
}

/** How its processes are, drawn anew for each life. */
export interface Temper {
  /** Chance that it ends by itself. */
  readonly mortal: number;
  /** How long those live at most, milliseconds. */
  readonly lifeMs: number;
  readonly writes: number;
  readonly forks: number;
}

export class Program {
  readonly #kernel: Kernel;
  readonly #container: VirtualContainer;
  readonly #process: VirtualProcess;
  readonly #outputs: ReadonlyMap<number, Output>;
  readonly #temper: Temper;
  #stubborn = false;

  constructor(
    kernel: Kernel,
    container: VirtualContainer,
    process: VirtualProcess,
    outputs: ReadonlyMap<number, Output>,
    temper: Temper,
  ) {
    this.#kernel = kernel;
    this.#container = container;
    this.#process = process;
    this.#outputs = outputs;
    this.#temper = temper;
  }

  run(): void {
    const { random, processes } = this.#kernel;
    const process = this.#process;
    process.reapsChildren = true;
    this.#stubborn = random.chance(0.3);
    process.onSignal = (signal) => this.#act(1, () => this.#signalled(signal));
    for (let pieces = random.chance(this.#temper.writes) ? random.below(4) : 0; pieces > 0; pieces--) {
      this.#act(this.#temper.lifeMs, () =>
        this.#write(random.pick([1, 1, 2]), random.between(1, 150), () => undefined),
      );
    }
    if (random.chance(this.#temper.forks)) this.#act(this.#temper.lifeMs, () => this.#fork());
    this.#readInput();
    if (!random.chance(this.#temper.mortal)) return;
    this.#act(this.#temper.lifeMs, () => {
      if (random.chance(0.2)) processes.send(process, random.pick([6, 9, 11]));
      else if (random.chance(0.5)) this.#write(1, random.between(1, 200), () => this.#exit());
      else this.#exit();
    });
  }

  #exit(): void {
    if (this.#process.isDying) return;
    this.#kernel.processes.exit(this.#process, this.#kernel.random.pick([0, 0, 1, 2, 126, 127, 255]));
  }

  #signalled(signal: number): void {
    if (this.#stubborn) return;
    if (this.#kernel.random.chance(0.4)) this.#exit();
    else this.#kernel.processes.killed(this.#process, signal);
  }

  #act(most: number, fn: () => void): void {
    this.#kernel.timeline.after(this.#kernel.random.delay(most), () =>
      this.#container.whenThawed(() => {
        if (!this.#process.isDying && this.#process.ended === undefined) fn();
      }),
    );
  }

  #fork(): void {
    const child = this.#kernel.processes.fork(this.#process.pid, `child of ${this.#process.what}`);
    if (child === undefined) return;
    for (const [fd, description] of this.#process.fds) child.fds.set(fd, description.share());
    const temper = { ...this.#temper, forks: this.#temper.forks / 2 };
    new Program(this.#kernel, this.#container, child, this.#outputs, temper).run();
  }

  /** Waits while the pipe is full, as a blocking write does. */
  #write(fd: number, count: number, then: () => void): void {
    const pipe = this.#process.fds.get(fd)?.target;
    const output = this.#outputs.get(fd);
    if (pipe === undefined || output === undefined || count === 0) return then();
    const bytes = Uint8Array.from({ length: count }, (_, i) => output.written + i);
    const written = pipe.write(bytes);
    if (written === EPIPE) {
      this.#kernel.options.cutOff(this.#process);
      this.#kernel.processes.killed(this.#process, SIGPIPE);
      return;
    }
    if (written !== EAGAIN && !isErrno(written)) {
      output.written += written;
      if (written === count) return then();
      return this.#act(1, () => this.#write(fd, count - written, then));
    }
    this.#whenChanged(
      pipe.watchers,
      () => pipe.space > 0 || pipe.readers === 0,
      () => this.#write(fd, count, then),
    );
  }

  #readInput(): void {
    const pipe = this.#process.fds.get(0)?.source;
    if (pipe === undefined || this.#kernel.random.chance(0.3)) return;
    const bytes = pipe.read(64);
    if (!isErrno(bytes) && bytes.length === 0) {
      this.#kernel.options.inputEnded(this.#process);
      if (this.#kernel.random.chance(0.5)) this.#exit();
      return;
    }
    this.#whenChanged(
      pipe.watchers,
      () => pipe.bytes > 0 || pipe.writers === 0,
      () => this.#readInput(),
    );
  }

  #whenChanged(watchers: Set<() => void>, isTrue: () => boolean, fn: () => void): void {
    const look = (): void => {
      if (this.#process.ended !== undefined) watchers.delete(look);
      if (this.#process.ended !== undefined || !isTrue()) return;
      watchers.delete(look);
      this.#act(2, fn);
    };
    watchers.add(look);
    look();
  }
}
