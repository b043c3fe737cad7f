// The Task service as a daemon calls it, method by method, each call watched: answered within its time, and with nothing
// that the events have not told.

import { type Client, protoCodec, StatusError } from "ttrpc";
import { Empty } from "../src/api/google/protobuf/empty.ts";
import * as api from "../src/api/task.ts";
import type { Timeline } from "./timeline.ts";

const service = "containerd.task.v3.Task";
const empty = protoCodec(Empty);

/** What each method takes and gives. */
const methods = {
  State: [protoCodec(api.StateRequest), protoCodec(api.StateResponse)],
  Create: [protoCodec(api.CreateTaskRequest), protoCodec(api.CreateTaskResponse)],
  Start: [protoCodec(api.StartRequest), protoCodec(api.StartResponse)],
  Delete: [protoCodec(api.DeleteRequest), protoCodec(api.DeleteResponse)],
  Pids: [protoCodec(api.PidsRequest), protoCodec(api.PidsResponse)],
  Pause: [protoCodec(api.PauseRequest), empty],
  Resume: [protoCodec(api.ResumeRequest), empty],
  Kill: [protoCodec(api.KillRequest), empty],
  Exec: [protoCodec(api.ExecProcessRequest), empty],
  ResizePty: [protoCodec(api.ResizePtyRequest), empty],
  CloseIO: [protoCodec(api.CloseIORequest), empty],
  Checkpoint: [protoCodec(api.CheckpointTaskRequest), empty],
  Update: [protoCodec(api.UpdateTaskRequest), empty],
  Wait: [protoCodec(api.WaitRequest), protoCodec(api.WaitResponse)],
  Stats: [protoCodec(api.StatsRequest), protoCodec(api.StatsResponse)],
  Connect: [protoCodec(api.ConnectRequest), protoCodec(api.ConnectResponse)],
  Shutdown: [protoCodec(api.ShutdownRequest), empty],
} as const;

/** What a request has in the fields that are not given. */
const defaults: Partial<Record<Method, object>> = {};
const nothing = new Uint8Array(0);

type Methods = typeof methods;
type Method = keyof Methods;
type Request<M extends Method> = Parameters<Methods[M][0]["encode"]>[0];
type Response<M extends Method> = ReturnType<Methods[M][1]["decode"]>;

/** Methods that wait for nothing, whatever else is going on. */
const quick: readonly Method[] = ["State", "Pids", "Connect", "Stats", "Exec", "ResizePty", "CloseIO", "Shutdown"];
/** Both ways of the wire, a few turns of it, and of a connection made for the call. */
const quickMs = 60;
/** The same where the shim may be out of fds, and takes no connection for a while. */
const quickWithFaultsMs = 2_000;
/** A runtime call and what undoes it, each to its deadline, and the waits in between. */
const slowMs = 1_500_000;

interface Waiting {
  readonly number: number;
  readonly method: Method;
  readonly request: object;
}

export class TaskClient {
  readonly #waiting = new Set<Waiting>();
  readonly #connect: () => Client;
  /** Whether calls of the kernel have failed. */
  readonly #hasFaults: () => boolean;
  #client: Client | undefined;
  readonly #timeline: Timeline;
  readonly #note: ((text: string) => void) | undefined;
  readonly #broken: (text: string) => void;
  calls = 0;

  /** @param connect throws a StatusError when nobody listens. */
  constructor(
    connect: () => Client,
    hasFaults: () => boolean,
    timeline: Timeline,
    note: ((text: string) => void) | undefined,
    broken: (text: string) => void,
  ) {
    this.#connect = connect;
    this.#hasFaults = hasFaults;
    this.#timeline = timeline;
    this.#note = note;
    this.#broken = broken;
  }

  /** Calls that have not been answered, for a life that stands still. */
  get waiting(): readonly string[] {
    return [...this.#waiting].map(nameOf);
  }

  /** The answer, or the refusal. */
  async call<M extends Method>(method: M, request: Partial<Request<M>>): Promise<Response<M> | StatusError> {
    const waiting: Waiting = { number: ++this.calls, method, request };
    this.#note?.(`> ${nameOf(waiting)}`);
    this.#waiting.add(waiting);
    const startedMs = this.#timeline.nowMs;
    const [encoder, decoder] = methods[method] as unknown as [
      { encode(message: object): Uint8Array; decode(bytes: Uint8Array): object },
      { encode(message: object): Uint8Array; decode(bytes: Uint8Array): object },
    ];
    const whole = { ...(defaults[method] ??= encoder.decode(nothing)), ...request };
    let answer: Response<M> | StatusError;
    try {
      answer = (await this.#connected().call(service, method, encoder, decoder, whole)) as Response<M>;
    } catch (thrown) {
      if (!(thrown instanceof StatusError)) throw thrown;
      answer = thrown;
    }
    this.#waiting.delete(waiting);
    // Every process that a runtime tells of is a child of the shim's, and waits as a zombie if it must.
    if (answer instanceof StatusError && answer.message.includes("claim process"))
      this.#broken(`${nameOf(waiting)}: ${answer.message}`);
    const tookMs = this.#timeline.nowMs - startedMs;
    if (this.#note !== undefined)
      this.#note(`< ${nameOf(waiting)}: ${answer instanceof StatusError ? `${answer.code} ${answer.message}` : "ok"}`);
    if (method !== "Wait" && tookMs > this.#bound(method)) {
      this.#broken(`${nameOf(waiting)} was answered after ${Math.round(tookMs)} ms`);
    }
    return answer;
  }

  /** The connection is closed, once what was sent is out. */
  close(): void {
    this.#client?.close();
  }

  /** An open connection, new where the last one is over. */
  #connected(): Client {
    if (this.#client !== undefined) return this.#client;
    const client = this.#connect();
    this.#client = client;
    void client.closed.then(() => {
      if (this.#client === client) this.#client = undefined;
    });
    return client;
  }

  #bound(method: Method): number {
    if (!quick.includes(method)) return slowMs;
    return this.#hasFaults() ? quickWithFaultsMs : quickMs;
  }
}

function nameOf({ number, method, request }: Waiting): string {
  return [number, method, ...Object.values(request).filter((value) => typeof value !== "object")].join(" ");
}
