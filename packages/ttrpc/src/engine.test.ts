// The core runs where there is nothing but the language, TextEncoder and TextDecoder: it is bundled, without node.ts, and
// run in a context that has no more, with both ends in it and every kind of call.

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { createContext, runInContext } from "node:vm";
import { build } from "esbuild";

const scenario = `
import * as ttrpc from "./index.js";

const { raw } = ttrpc;
const timers = { start: () => 0, stop: () => undefined };

function pair() {
  const sides = [0, 1].map(() => ({ events: undefined }));
  const transportOf = (own, other) => ({
    start: (events) => { own.events = events; },
    write(bytes) { Promise.resolve().then(() => other.events.data(bytes)); return true; },
    pause() {}, resume() {},
    close() { Promise.resolve().then(() => { own.events.closed(undefined); other.events.closed(undefined); }); },
    destroy() { this.close(); },
  });
  return [transportOf(sides[0], sides[1]), transportOf(sides[1], sides[0])];
}

export async function run() {
  const server = new ttrpc.Server({ timers });
  server.add("s", {
    echo: ttrpc.unary(raw, raw, (message) => message),
    later: ttrpc.unary(raw, raw, async (message, { metadata }) => raw.encode(new Uint8Array(metadata.size + message.length))),
    fails: ttrpc.unary(raw, raw, () => { throw new ttrpc.StatusError(5, "no", [{ typeUrl: "t", value: new Uint8Array(2) }]); }),
    sum: ttrpc.clientStreaming(raw, raw, async (input) => {
      let sum = 0;
      for await (const message of input) sum += message[0];
      return Uint8Array.of(sum);
    }),
    count: ttrpc.serverStreaming(raw, raw, async (message, output) => {
      for (let index = 0; index < message[0]; index++) await output.send(Uint8Array.of(index));
    }),
    both: ttrpc.bidiStreaming(raw, raw, async (input, output) => {
      for await (const message of input) await output.send(message);
    }),
  });
  const [near, far] = pair();
  server.accept(far);
  const client = new ttrpc.Client(near, { timers });
  const seen = [];
  seen.push([...await client.call("s", "echo", raw, raw, Uint8Array.of(1))]);
  const options = { timeoutMs: 1000, metadata: new Map([["k", ["v"]]]), cancellation: new ttrpc.CancelSource() };
  seen.push((await client.call("s", "later", raw, raw, Uint8Array.of(1), options)).length);
  seen.push(await client.call("s", "fails", raw, raw, Uint8Array.of(1)).catch((e) => [e.code, e.message, e.details.length]));
  seen.push(await client.call("s", "nope", raw, raw, Uint8Array.of(1)).catch((e) => e.code));
  const sum = ttrpc.clientStream(client, "s", "sum", raw, raw);
  await sum.send(Uint8Array.of(3));
  await sum.send(Uint8Array.of(4));
  seen.push([...await sum.finish()]);
  let count = 0;
  for await (const message of ttrpc.serverStream(client, "s", "count", raw, raw, Uint8Array.of(5))) count += message.length;
  seen.push(count);
  const both = ttrpc.bidiStream(client, "s", "both", raw, raw);
  await both.send(Uint8Array.of(9));
  seen.push([...await both.receive()]);
  both.cancel();
  await server.shutdown(1000);
  await client.closed;
  return JSON.stringify(seen);
}
`;

test("the core uses nothing of Node", async () => {
  const { outputFiles } = await build({
    stdin: { contents: scenario, resolveDir: fileURLToPath(new URL(".", import.meta.url)), loader: "js" },
    bundle: true,
    write: false,
    format: "iife",
    globalName: "scenario",
    platform: "neutral",
  });
  const context = createContext({ TextEncoder, TextDecoder });
  // What V8 brings along and other engines do not have.
  runInContext(
    "delete globalThis.console; delete globalThis.WebAssembly; delete globalThis.SharedArrayBuffer",
    context,
  );
  runInContext(outputFiles[0]?.text ?? "", context);
  const seen = await (runInContext("scenario.run()", context) as Promise<string>);
  assert.deepEqual(JSON.parse(seen), [[1], 2, [5, "no", 1], 12, [7], 5, [9]]);
});

test("a server of unary methods is small, and brings no stream along", async () => {
  const { outputFiles } = await build({
    stdin: {
      contents: `export { Server, unary, StatusError, codes } from "./index.js";`,
      resolveDir: fileURLToPath(new URL(".", import.meta.url)),
      loader: "js",
    },
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    platform: "neutral",
  });
  const text = outputFiles[0]?.text ?? "";
  assert.ok(!text.includes("asyncIterator"));
  assert.ok(text.length < 16 * 1024, `${text.length} bytes`);
});
