// Running a program to its end with captured output and a deadline. A program that misses its deadline is killed and
// is an error, never a result.

import { spawn } from "node:child_process";

export interface CommandResult {
  readonly status: number;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stdoutBytes: Buffer;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly input?: string | Buffer;
  /** Stdin is closed only when stdout holds this text; at once otherwise. */
  readonly inputEndsAfter?: string;
  readonly deadlineMs?: number;
}

/** Runs `argv` and returns how it ended. @throws Error when it cannot be started or misses its deadline. */
export function run(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const [file, ...args] = argv;
  if (file === undefined) throw new Error("no program given");
  const deadlineMs = options.deadlineMs ?? 30_000;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      env: options.env ?? process.env,
      cwd: options.cwd,
      stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
      child.stdout?.destroy();
      child.stderr?.destroy();
    }, deadlineMs);
    child.stdout?.on("data", (chunk: Buffer) => {
      out.push(chunk);
      const awaited = options.inputEndsAfter;
      if (awaited !== undefined && Buffer.concat(out).includes(awaited)) child.stdin?.end();
    });
    child.stderr?.on("data", (chunk: Buffer) => err.push(chunk));
    child.on("error", (cause) => {
      clearTimeout(timer);
      reject(cause);
    });
    child.on("close", (status, signal) => {
      clearTimeout(timer);
      const stdoutBytes = Buffer.concat(out);
      const result = {
        status: status ?? 255,
        signal,
        stdoutBytes,
        stdout: stdoutBytes.toString("utf8"),
        stderr: Buffer.concat(err).toString("utf8"),
      };
      if (late) {
        const seen = `stdout ${JSON.stringify(result.stdout)}, stderr ${JSON.stringify(result.stderr)}`;
        reject(new Error(`${argv.join(" ")} did not end within ${deadlineMs} ms: ${seen}`));
      } else resolve(result);
    });
    if (options.input !== undefined) {
      // A program that ends before it has read everything is no fault of the harness.
      child.stdin?.on("error", () => undefined);
      child.stdin?.write(options.input);
      if (options.inputEndsAfter === undefined) child.stdin?.end();
    }
  });
}

/** As `run`, and an exit status other than 0 is an error that shows the output. */
export async function runOk(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const result = await run(argv, options);
  if (result.status !== 0) {
    throw new Error(`${argv.join(" ")} exited ${result.signal ?? result.status}: ${result.stderr}${result.stdout}`);
  }
  return result;
}
