// What the tests of this folder start from: a request, a kernel with its FIFOs, and the hands to move it on.

import assert from "node:assert/strict";
import { FakeKernel, type FakePump, turn } from "./fake-kernel.fixture.ts";
import { openStdio, type Stdio, type StdioSetup } from "./stdio.ts";

export const setup: StdioSetup = {
  containerId: "c1",
  execId: "",
  namespace: "ns",
  bundle: "/bundle",
  stdin: "",
  stdout: "",
  stderr: "",
  terminal: false,
  ioUid: 0,
  ioGid: 0,
  environ: ["PATH=/bin", "SECRET=1"],
};
export const fifos = { stdin: "/run/in", stdout: "/run/out", stderr: "/run/err" };
export const logger = { stdout: "binary:///bin/log?a=b", stderr: "binary:///bin/log?a=b" };

export function kernelWithFifos(): FakeKernel {
  const kernel = new FakeKernel();
  for (const path of Object.values(fifos)) kernel.files.set(path, "fifo");
  kernel.files.set("/bundle", "folder");
  return kernel;
}

export function open(kernel: FakeKernel, more: Partial<StdioSetup>): Promise<Stdio> {
  return openStdio(kernel, { ...setup, ...more });
}

export function pump(kernel: FakeKernel, part: string): FakePump {
  const found = kernel.pumps.find(({ source, target }) => source.includes(part) || target.includes(part));
  assert.ok(found, `a pump of ${part}`);
  return found;
}

/** Whether a promise has settled by now. */
export async function settled(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  void promise.finally(() => {
    done = true;
  });
  await turn();
  return done;
}

export async function openTerminal(kernel: FakeKernel, more: Partial<StdioSetup> = {}): Promise<Stdio> {
  return open(kernel, { stdin: fifos.stdin, stdout: fifos.stdout, terminal: true, ...more });
}

export function sendMaster(kernel: FakeKernel, ...fds: string[]): void {
  kernel.arriving = fds;
  kernel.ready("listening");
  kernel.ready("connection");
}
