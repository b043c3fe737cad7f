// What a shim's `start` prints, read as containerd reads it: a protobuf BootstrapResult (2.3 and later), JSON (1.7 and
// later) or the plain address of a shim of version 2.

import { BootstrapResult } from "../src/api/bootstrap.ts";
import { shorten, Shortfall } from "./case.ts";

export interface StartAnswer {
  readonly form: "plain" | "JSON" | "protobuf";
  /** 2: speaks containerd.task.v2.Task; 3: containerd.task.v3.Task. */
  readonly version: number;
  /** Path of the socket. */
  readonly socketPath: string;
  readonly protocol: string;
}

const scheme = "unix://";

/** @throws Shortfall when no containerd understands it. */
export function readStartAnswer(bytes: Buffer): StartAnswer {
  const text = bytes.toString("utf8").trim();
  if (text.startsWith(scheme)) {
    return { form: "plain", version: 2, socketPath: pathOf(text), protocol: "ttrpc" };
  }
  const result = text.startsWith("{") ? fromJson(text) : fromProtobuf(bytes);
  if (result === undefined || !result.address.startsWith(scheme)) {
    throw new Shortfall(`start prints what is no answer: "${shorten(text)}"`);
  }
  const { form, version, address, protocol } = result;
  return { form, version, socketPath: pathOf(address), protocol };
}

interface Parts {
  readonly form: "JSON" | "protobuf";
  readonly version: number;
  readonly address: string;
  readonly protocol: string;
}

function fromJson(text: string): Parts | undefined {
  try {
    const { version, address, protocol } = JSON.parse(text) as Record<string, unknown>;
    return { form: "JSON", version: Number(version), address: String(address), protocol: String(protocol) };
  } catch {
    return undefined;
  }
}

function fromProtobuf(bytes: Buffer): Parts | undefined {
  try {
    const { version, address, protocol } = BootstrapResult.decode(bytes);
    return { form: "protobuf", version, address, protocol };
  } catch {
    return undefined;
  }
}

function pathOf(address: string): string {
  return address.slice(scheme.length);
}
