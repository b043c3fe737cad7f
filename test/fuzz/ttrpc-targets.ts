// Targets on ttrpc's wire: a server with a client that sends whatever it likes, in pieces of any size, and a client with
// such a server. Every call ends, nothing stays behind when the connection is over, and no more is written than asked for.

import {
  bidiStream,
  bidiStreaming,
  Client,
  clientStreaming,
  protoCodec,
  raw,
  Server,
  serverStreaming,
  unary,
} from "ttrpc";
import type { Random } from "../../sim/random.ts";
import { BinaryReader } from "../../src/api/wire.ts";
import { ScriptedTimers, ScriptedTransport, turns } from "./loopback.ts";
import { readAll } from "./message-targets.ts";
import { joined } from "./mutate.ts";
import { edgeNumber, randomMessage, varint } from "./protobuf.ts";
import { demand, type Target } from "./target.ts";

const limits = {
  maxMessageBytes: 4096,
  maxCalls: 8,
  maxRequestBytes: 16_384,
  streamBufferBytes: 2048,
  pauseBytes: 4096,
  maxBacklogBytes: 32_768,
};
const none = new Uint8Array();

function makeServer(timers: ScriptedTimers): Server {
  const server = new Server({ timers, limits });
  const ok = (): Uint8Array => Uint8Array.of(1);
  // By the shim's own reader in every engine.
  const decode = (bytes: Uint8Array): string => readAll(new BinaryReader(bytes), bytes.length);
  const fields = protoCodec({ decode, encode: () => ({ finish: () => none }) });
  server.add("s", {
    u: unary(raw, raw, (message) => message),
    m: unary(fields, raw, ok),
    k: unary(fields, raw, async () => ok()),
    w: unary(raw, raw, (_message, { cancellation }) => {
      return new Promise<Uint8Array>((resolve) => cancellation.onCancel(() => resolve(none)));
    }),
    c: clientStreaming(raw, raw, async (input) => (await input.receive()) ?? none),
    r: serverStreaming(raw, raw, async (message, output) => {
      for (let index = 0; index < 3; index++) await output.send(message);
    }),
    b: bidiStreaming(raw, raw, async (input, output) => {
      for await (const message of input) await output.send(message);
    }),
  });
  return server;
}

function frame(random: Random, type: number, body: Uint8Array): Uint8Array {
  const length = random.chance(0.97) ? body.length : Number(edgeNumber(random) & 0xffff_ffffn);
  const id = random.chance(0.95) ? random.below(14) : Number(edgeNumber(random) & 0xffff_ffffn);
  const header = new DataView(new ArrayBuffer(10));
  header.setUint32(0, length);
  header.setUint32(4, id);
  header.setUint8(8, type);
  header.setUint8(9, random.chance(0.9) ? random.below(8) : random.below(256));
  return joined([new Uint8Array(header.buffer), body]);
}

function text(field: number, value: string): Uint8Array {
  return Uint8Array.of(field * 8 + 2, value.length, ...Array.from(value, (each) => each.charCodeAt(0)));
}

function request(random: Random): Uint8Array {
  const payload = randomMessage(random, 2);
  const parts = [text(1, "s"), text(2, random.pick(["u", "m", "k", "w", "c", "r", "b", "x"]))];
  if (random.chance(0.8)) parts.push(joined([Uint8Array.of(0x1a), varint(random, BigInt(payload.length)), payload]));
  if (random.chance(0.3)) parts.push(joined([Uint8Array.of(0x20), varint(random, edgeNumber(random))]));
  while (random.chance(0.2)) parts.push(joined([Uint8Array.of(0x2a, 6), text(1, "a"), text(2, "b")]));
  if (random.chance(0.1)) parts.push(randomMessage(random));
  return joined(parts);
}

function makeStream(random: Random, body: (random: Random) => Uint8Array, types: readonly number[]): Uint8Array {
  const parts: Uint8Array[] = [Uint8Array.of(random.below(256))];
  for (let frames = 1 + random.below(12); frames > 0; frames--)
    parts.push(frame(random, random.pick(types), body(random)));
  return joined(parts);
}

/** The first byte says how the rest is cut, and how much the peer leaves untaken. */
function piecesOf(input: Uint8Array): Uint8Array[] {
  const rest = input.subarray(1);
  const size = Math.max(1 + ((input[0] ?? 0) >> 1), Math.ceil(rest.length / 100));
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < rest.length; at += size) pieces.push(rest.subarray(at, at + size));
  return pieces;
}

/** Sends the pieces, waiting as a kernel does while nobody reads. */
async function play(transport: ScriptedTransport, timers: ScriptedTimers, input: Uint8Array): Promise<void> {
  for (const piece of piecesOf(input)) {
    for (let tries = 0; transport.isPaused && tries < 4; tries++) {
      transport.take();
      timers.advance(400);
      await turns(12);
    }
    transport.feed(piece);
    if (((input[0] ?? 0) & 1) === 0) transport.take();
    await turns(3);
  }
  await turns(20);
  timers.advance(10_000);
  transport.take();
  await turns(20);
}

const server: Target = {
  name: "ttrpc-server",
  words: ["\x00\x00\x00\x05\x00\x00\x00\x01\x01\x00", "\x0a\x01s", "\x12\x01u", "\x12\x01b", "\x2a\x06", "\x43"],
  make: (random) => makeStream(random, request, [1, 1, 1, 1, 3, 3, 0x43, 2, random.below(256)]),
  run: async (input) => {
    const timers = new ScriptedTimers();
    const tested = makeServer(timers);
    const transport = new ScriptedTransport(256);
    const served = tested.accept(transport);
    await play(transport, timers, input);
    transport.hangUp();
    await served.closed;
    timers.advance(10_000);
    await turns(30);
    demand(tested.connections === 0, `${tested.connections} connections are left`);
    demand(tested.calls === 0, `${tested.calls} calls are left`);
    demand(timers.pending.size === 0, `${timers.pending.size} timers are left`);
    // A request of r is answered three times; a refusal says what it refuses, briefly.
    demand(transport.writtenBytes < 4096 + input.length * 60, `${transport.writtenBytes} bytes for ${input.length}`);
    return String(transport.digest);
  },
  comparable: true,
};

const client: Target = {
  name: "ttrpc-client",
  words: ["\x00\x00\x00\x05\x00\x00\x00\x01\x02\x00", "\x0a\x02\x08\x05", "\x12\x03abc", "\x1a\x00"],
  make: (random) => makeStream(random, (each) => randomMessage(each, 3), [2, 2, 2, 3, 3, 1, random.below(256)]),
  run: async (input) => {
    const timers = new ScriptedTimers();
    const transport = new ScriptedTransport(1 << 20);
    const tested = new Client(transport, { timers, limits });
    const outcomes: string[] = [];
    const note = (what: string) => (): void => void outcomes.push(what);
    for (let i = 0; i < 3; i++) {
      tested.call("s", "u", raw, raw, none, { timeoutMs: 9_000 }).then(note(`${i} good`), note(`${i} bad`));
    }
    const streams = [0, 1].map(() => bidiStream(tested, "s", "b", raw, raw));
    await play(transport, timers, input);
    transport.hangUp();
    await tested.closed;
    for (const stream of streams) {
      for (let left = 200; left > 0; left--) {
        if ((await stream.receive().catch(() => undefined)) === undefined) break;
        demand(left > 1, "a stream without end");
      }
    }
    await turns(30);
    demand(outcomes.length === 3, `${outcomes.length} of 3 calls have ended`);
    demand(tested.calls === 0 && timers.pending.size === 0, "calls or timers are left");
    return `${outcomes.join()} ${transport.digest}`;
  },
  comparable: true,
};

export const ttrpcTargets: readonly Target[] = [server, client];
