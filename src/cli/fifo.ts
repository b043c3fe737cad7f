// The ends of a container's stdio FIFOs. They are opened without blocking, since Node would block one of its few threads
// for as long as the other side is away, and handed to the event loop, so that a read that never comes holds nobody up.

import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { Socket } from "node:net";
import { CliError, errnoOf, textOf } from "./cli-error.ts";

const { O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants;

/** Which other ends must exist: none yet (the shim has not been told of the FIFO), or the shim's. */
export type WriterMode = "before-reader" | "reader-exists";

/** A FIFO open for reading. It never waits for a writer. @throws CliError when `path` is no FIFO. */
export function openReader(path: string): Socket {
  const fd = openFifo(path, O_RDONLY);
  return new Socket({ fd, readable: true, writable: false });
}

/**
 * A FIFO open for writing, or undefined when nobody reads any more. Before the shim has opened it, our end is for both
 * directions: only that does not need a reader (fifo(7)).
 */
export function openWriter(path: string, mode: WriterMode): Socket | undefined {
  try {
    const fd = openFifo(path, mode === "before-reader" ? O_RDWR : O_WRONLY);
    return new Socket({ fd, readable: false, writable: true });
  } catch (thrown) {
    if (thrown instanceof CliError && errnoOf(thrown.cause) === "ENXIO") return undefined;
    throw thrown;
  }
}

function openFifo(path: string, flags: number): number {
  let fd: number;
  try {
    fd = openSync(path, flags | O_NONBLOCK);
  } catch (thrown) {
    throw new CliError(`open ${path}: ${errnoOf(thrown) ?? textOf(thrown)}`, "failure", thrown);
  }
  if (fstatSync(fd).isFIFO()) return fd;
  closeSync(fd);
  throw new CliError(`${path} is no FIFO: the container's output goes elsewhere`);
}

/** Writes the chunk and resolves once the kernel has taken it; false: nobody reads any more. */
export function writeTo(fifo: Socket, chunk: Uint8Array): Promise<boolean> {
  return new Promise((resolve) => fifo.write(chunk, (fault) => resolve(fault === undefined || fault === null)));
}

/**
 * Reads what a FIFO holds after its process has ended. The event loop cannot: a FIFO whose last writer left before we
 * opened it never becomes readable.
 * @param quietMs how long an open but silent writer (the shim, still passing on what did not fit) is waited for.
 */
export async function drainFifo(path: string, quietMs: number, take: (chunk: Uint8Array) => void): Promise<void> {
  const fd = openFifo(path, O_RDONLY);
  try {
    const buffer = Buffer.alloc(65_536);
    let deadline = performance.now() + quietMs;
    while (performance.now() < deadline) {
      const length = readNow(fd, buffer);
      if (length === 0) return;
      if (length === undefined) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        continue;
      }
      take(Uint8Array.from(buffer.subarray(0, length)));
      deadline = performance.now() + quietMs;
    }
  } finally {
    closeSync(fd);
  }
}

function readNow(fd: number, buffer: Buffer): number | undefined {
  try {
    return readSync(fd, buffer);
  } catch (thrown) {
    if (errnoOf(thrown) === "EAGAIN") return undefined;
    throw thrown;
  }
}
