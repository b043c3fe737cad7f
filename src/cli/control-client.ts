// The control service of a shim (moor.control.v1) as moor uses it. A shim that has not got a method, or not the service (an
// older one, or another's), says so: that is a ControlLacking, for which each command has an answer of its own.

import { type Client, type Codec, codes, protoCodec, serverStream, StatusError, type ServerStream } from "ttrpc";
import * as api from "../api/control.ts";
import { Empty } from "../api/google/protobuf/empty.ts";
import type { ExitInfo } from "./shim-client.ts";
import { instantOf } from "./instant.ts";

const service = "moor.control.v1.Control";
const runtimeTimeoutMs = 120_000;

/** The shim does not know this method. */
export class ControlLacking extends Error {
  readonly method: string;

  constructor(method: string) {
    super(`the shim knows no ${method} of ${service}`);
    this.name = "ControlLacking";
    this.method = method;
  }
}

/** An exec that runs, and its end. */
export interface ControlledExec {
  readonly pid: number;
  /** @throws when the shim is lost. */
  readonly exited: Promise<ExitInfo>;
}

export type ControlExecRequest = api.ExecRequest;

export class ControlClient {
  readonly #connection: Client;
  readonly #timeoutMs: number;

  constructor(connection: Client, timeoutMs: number) {
    this.#connection = connection;
    this.#timeoutMs = timeoutMs;
  }

  /** The shim's version and what it offers of the service. */
  describe(): Promise<api.DescribeResponse> {
    return this.#call("Describe", protoCodec(Empty), protoCodec(api.DescribeResponse), {});
  }

  /** What the shim knows of itself and one container: docs/inspect.md. */
  async inspect(id: string): Promise<Readonly<Record<string, unknown>>> {
    const { json } = await this.#call("Inspect", protoCodec(api.InspectRequest), protoCodec(api.InspectResponse), {
      id,
    });
    return JSON.parse(json) as Record<string, unknown>;
  }

  /** @returns the level before. */
  async setLogLevel(level: string): Promise<string> {
    const request = protoCodec(api.SetLogLevelRequest);
    return (await this.#call("SetLogLevel", request, protoCodec(api.SetLogLevelResponse), { level })).level;
  }

  async kill(id: string, signal: number, all: boolean): Promise<void> {
    const message = { id, execId: "", signal, all };
    await this.#call("Kill", protoCodec(api.KillRequest), protoCodec(Empty), message, runtimeTimeoutMs);
  }

  /** The log's ring, and each line from then on. */
  async *logs(follow: boolean): AsyncGenerator<{ readonly lines: readonly string[]; readonly missed: number }> {
    const stream = this.#stream("Logs", protoCodec(api.LogsRequest), protoCodec(api.LogsResponse), { follow });
    for (;;) {
      const message = await received("Logs", stream);
      if (message === undefined) return;
      yield { lines: message.lines, missed: Number(message.missed) };
    }
  }

  /** Has the shim know that somebody is attached, until the returned function is called or the connection ends. */
  async attached(id: string, execId: string): Promise<() => void> {
    const request = protoCodec(api.AttachRequest);
    const stream = this.#stream("Attach", request, protoCodec(api.AttachResponse), { id, execId });
    await received("Attach", stream);
    return () => stream.cancel();
  }

  /** Starts a process in a container; resolves when it runs. @throws what the shim or the runtime says. */
  async exec(request: ControlExecRequest): Promise<ControlledExec> {
    const stream = this.#stream("Exec", protoCodec(api.ExecRequest), protoCodec(api.ExecResponse), request);
    const first = await received("Exec", stream);
    if (first === undefined) throw new Error("the shim has not said what became of the exec");
    const exited = received("Exec", stream).then((last) => {
      if (last === undefined) throw new Error("the shim leaves");
      return { exitStatus: last.exitStatus, exitedAt: instantOf(last.exitedAt) };
    });
    // Of one that is left alone (-d) nobody awaits it.
    exited.catch(() => undefined);
    return { pid: first.pid, exited };
  }

  async #call<Q, S>(method: string, request: Codec<Q>, response: Codec<S>, message: Q, timeoutMs?: number): Promise<S> {
    const options = { timeoutMs: timeoutMs ?? this.#timeoutMs };
    try {
      return await this.#connection.call(service, method, request, response, message, options);
    } catch (thrown) {
      throw lackingOr(method, thrown);
    }
  }

  #stream<Q, S>(method: string, request: Codec<Q>, response: Codec<S>, message: Q): ServerStream<S> {
    return serverStream(this.#connection, service, method, request, response, message);
  }
}

async function received<S>(method: string, stream: ServerStream<S>): Promise<S | undefined> {
  try {
    return await stream.receive();
  } catch (thrown) {
    throw lackingOr(method, thrown);
  }
}

// The runtime has commands that it does not know, too: their error names them in other words.
function lackingOr(method: string, thrown: unknown): unknown {
  const isLacking =
    thrown instanceof StatusError && thrown.code === codes.unimplemented && /^(service|method) /.test(thrown.message);
  return isLacking ? new ControlLacking(method) : thrown;
}
