// Targets that take protobuf: the generated messages that come from outside, the reader under them, and what the shim
// makes of options and of `start`'s standard input.

import { BootstrapParams } from "../../src/api/bootstrap.ts";
import { Any } from "../../src/api/google/protobuf/any.ts";
import { CheckpointOptions, Options } from "../../src/api/runc-options.ts";
import { Options as TomlOptions } from "../../src/api/runtime-options.ts";
import * as task from "../../src/api/task.ts";
import { BinaryReader } from "../../src/api/wire.ts";
import { decodeCheckpointOptions, decodeOptions } from "../../src/oci/options.ts";
import { readStartInput } from "../../src/shim/bootstrap.ts";
import { memorySys } from "./memory-sys.ts";
import { deepMessage, randomMessage } from "./protobuf.ts";
import type { Target } from "./target.ts";

/** Whatever a reader throws for bytes that are no protobuf; the server and the options make sentences of it. */
const isWireError = (thrown: unknown): boolean =>
  thrown instanceof RangeError ||
  (thrown instanceof Error && /recursion|wire type|end group|varint/.test(thrown.message));

/** What is read of messages from clients and daemons, in the order of the selecting byte. */
const types: readonly { decode(bytes: Uint8Array): unknown }[] = [
  task.CreateTaskRequest,
  task.StateRequest,
  task.StartRequest,
  task.DeleteRequest,
  task.PidsRequest,
  task.PauseRequest,
  task.ResumeRequest,
  task.CheckpointTaskRequest,
  task.KillRequest,
  task.ExecProcessRequest,
  task.ResizePtyRequest,
  task.CloseIORequest,
  task.UpdateTaskRequest,
  task.WaitRequest,
  task.StatsRequest,
  task.ConnectRequest,
  task.ShutdownRequest,
  Options,
  CheckpointOptions,
  TomlOptions,
  Any,
  BootstrapParams,
];

/** The value as text: bytes and numbers of 64 bits, which JSON does not have, too. */
export function shown(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) => {
    if (typeof each === "bigint") return `${each}n`;
    return each instanceof Uint8Array ? `bytes ${each.join()}` : each;
  });
}

const messages: Target = {
  name: "messages",
  words: ["\x0a\x00", "\x12\x00", "\x1a\x00", "\x22\x02", "containerd.runc.v1.Options", "\x80\x80\x80"],
  make: (random) => {
    const message = random.chance(0.1) ? deepMessage(random) : randomMessage(random);
    const all = new Uint8Array(message.length + 1);
    all[0] = random.below(types.length);
    all.set(message, 1);
    return all;
  },
  run: (input) => {
    const type = types[(input[0] ?? 0) % types.length];
    return shown(type?.decode(input.subarray(1)));
  },
  // Under Node the generated code reads by @bufbuild/protobuf's reader, in the host by our own, which takes no varint of
  // more than ten bytes: fuzz.test.ts compares the two.
  comparable: false,
  isPromised: isWireError,
};

/** The reader alone: each field is read by the method that the field's number chooses, fit or not. */
export function readAll(reader: Pick<BinaryReader, keyof typeof reads>, length: number): string {
  const values: unknown[] = [];
  while (reader.pos < length) {
    const tag = reader.uint32();
    const read = readers[(tag >>> 3) % readers.length] ?? "skip";
    values.push(read === "skip" ? reader.skip(tag & 7, tag >>> 3) : reader[read]());
  }
  return shown(values);
}
const reads = { uint32: 0, int32: 0, bool: 0, uint64: 0, int64: 0, double: 0, string: 0, bytes: 0, skip: 0, pos: 0 };
const readers = ["skip", "uint32", "int32", "bool", "uint64", "int64", "double", "string", "bytes"] as const;

const reader: Target = {
  name: "reader",
  words: ["\x08", "\x12", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"],
  make: (random) => randomMessage(random),
  run: (input) => readAll(new BinaryReader(input), input.length),
  comparable: true,
  isPromised: isWireError,
};

const tomlText = 'BinaryName = "crun"\nSystemdCgroup = true\n';

const startInput: Target = {
  name: "start-input",
  words: ["containerd.runc.v1.Options", "runtimeoptions.v1.Options", "c1", "/run/s", "\x0a", "\x12", tomlText],
  make: (random) => randomMessage(random),
  run: async (input) => {
    const sys = memorySys((path) => (path === "/etc/options.toml" ? new TextEncoder().encode(tomlText) : undefined));
    return shown(await readStartInput(sys, input, "c1", "ns"));
  },
  comparable: false,
};

const anyOptions: Target = {
  name: "any-options",
  words: ["containerd.runc.v1.Options", "containerd.runc.v1.CheckpointOptions", "runtimeoptions.v1.Options", "\x1a"],
  run: async (input) => {
    const typeUrls = ["containerd.runc.v1.Options", "a/runtimeoptions.v1.Options", "x", ""];
    const any = { typeUrl: typeUrls[(input[0] ?? 0) % typeUrls.length] ?? "", value: input.subarray(1) };
    const checkpoint = { typeUrl: "containerd.runc.v1.CheckpointOptions", value: any.value };
    const sys = memorySys(() => input.subarray(1));
    const options = shown(await decodeOptions(sys, any));
    return options + shown(decodeCheckpointOptions(checkpoint));
  },
  make: (random) => {
    const message = randomMessage(random, 2);
    const all = new Uint8Array(message.length + 1);
    all[0] = random.below(4);
    all.set(message, 1);
    return all;
  },
  comparable: false,
};

export const messageTargets: readonly Target[] = [messages, reader, startInput, anyOptions];
