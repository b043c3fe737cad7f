// What arrives from the shims and when, on the clock of CLOCK_MONOTONIC in nanoseconds: events at the daemon's side, and
// answers to Wait. The reading is done by bench/arrivals.c.

import { BinaryReader } from "@bufbuild/protobuf/wire";
import { ForwardRequest } from "../src/api/forward.ts";
import { WaitRequest } from "../src/api/task.ts";
import { decodeEvent, type SeenEvent } from "../test/harness/event-log.ts";
import { encodeFrame, encodeRequest } from "../test/harness/raw-ttrpc.ts";
import { within } from "../test/harness/until.ts";
import { LineProgram } from "./line-program.ts";

const answersWithinMs = 20_000;

/** The event service at a socket; it takes every event and tells it. */
export class EventService {
  readonly #program: LineProgram;

  private constructor(program: LineProgram) {
    this.#program = program;
  }

  static async open(
    arrivals: string,
    path: string,
    onEvent: (event: SeenEvent, atNs: number) => void,
  ): Promise<EventService> {
    const program = await LineProgram.ready([arrivals, "serve", path], (line) => {
      const [at, hex] = line.split(" ");
      const { envelope } = ForwardRequest.decode(requestIn(Buffer.from(hex ?? "", "hex")));
      if (envelope !== undefined) onEvent(decodeEvent(envelope), Number(at));
    });
    return new EventService(program);
  }

  close(): Promise<void> {
    return this.#program.end();
  }
}

/** A connection to a shim on which Wait is called. */
export class Waiter {
  readonly #service: string;
  readonly program: LineProgram;
  readonly #answers = new Map<number, (atNs: number) => void>();
  #nextStream = 1;

  constructor(arrivals: string, socketPath: string, service: string) {
    this.#service = service;
    this.program = new LineProgram([arrivals, "relay", socketPath], (line) => {
      const [at, stream] = line.split(" ");
      this.#answers.get(Number(stream))?.(Number(at));
    });
  }

  /** When the answer to Wait is there. The call is sent at once. */
  wait(id: string, execId: string): Promise<number> {
    const streamId = this.#nextStream;
    this.#nextStream += 2;
    const payload = encodeRequest(this.#service, "Wait", WaitRequest.encode({ id, execId }).finish());
    this.program.write(encodeFrame({ streamId, type: 1, flags: 0, payload }));
    const answered = new Promise<number>((resolve) => this.#answers.set(streamId, resolve));
    return within(`the answer to Wait for ${execId || id}`, answersWithinMs, answered).finally(() =>
      this.#answers.delete(streamId),
    );
  }

  end(): Promise<void> {
    return this.program.end();
  }
}

/** The message in a ttrpc request: its field 3. */
function requestIn(bytes: Uint8Array): Uint8Array {
  const reader = new BinaryReader(bytes);
  let message: Uint8Array = new Uint8Array();
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 3) message = reader.bytes();
    else reader.skip(wireType);
  }
  return message;
}
