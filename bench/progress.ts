// What the bench is doing, on standard error: one line that is written over on a terminal, and a line now and then
// elsewhere.

const betweenLinesMs = 5_000;

export class Progress {
  isStopped = false;
  #last = "";
  #toldMs = Number.NEGATIVE_INFINITY;
  readonly #began = performance.now();

  /** The next thing that is told ends the measuring. */
  stop(): void {
    this.isStopped = true;
  }

  /** @throws Error when the bench was stopped. */
  tell(text: string): void {
    if (this.isStopped) throw new Error("stopped");
    if (process.stderr.isTTY) {
      process.stderr.write(`\r\x1b[K${text}`);
      return;
    }
    const now = performance.now();
    const topic = /^\S+/.exec(text)?.[0] ?? "";
    if (topic === this.#last && now - this.#toldMs < betweenLinesMs) return;
    this.#last = topic;
    this.#toldMs = now;
    process.stderr.write(`${((now - this.#began) / 1e3).toFixed(0).padStart(4)} s  ${text}\n`);
  }

  end(): void {
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  }
}
