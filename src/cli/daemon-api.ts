// containerd's own gRPC API, as far as moor asks it: which tasks and namespaces it knows, its events, its version. Loaded
// only by commands that ask (27 ms and 4.8 MB of @grpc/grpc-js).

import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { SubscribeRequest } from "../api/daemon/events.ts";
import { ListNamespacesRequest, ListNamespacesResponse } from "../api/daemon/namespaces.ts";
import { Status } from "../api/daemon/process.ts";
import { ListTasksRequest, ListTasksResponse } from "../api/daemon/tasks.ts";
import { VersionResponse } from "../api/daemon/version.ts";
import { Envelope } from "../api/types.ts";

interface Encoder<T> {
  encode(message: T): { finish(): Uint8Array };
}
interface Decoder<T> {
  decode(bytes: Uint8Array): T;
}

export class DaemonApi {
  readonly #client: Client;
  readonly #timeoutMs: number;

  /** `address` is the path of containerd's socket. Nothing is connected before the first request. */
  constructor(address: string, timeoutMs: number) {
    this.#client = new Client(`unix:${address}`, credentials.createInsecure(), {
      "grpc.max_receive_message_length": 16 << 20,
    });
    this.#timeoutMs = timeoutMs;
  }

  close(): void {
    this.#client.close();
  }

  /** The tasks of these namespaces, as "namespace/id". @throws grpc's error when the daemon does not answer. */
  async knownTasks(namespaces: ReadonlySet<string>): Promise<ReadonlySet<string>> {
    const lists = [...namespaces].map(async (namespace) => {
      const path = "/containerd.services.tasks.v1.Tasks/List";
      const { tasks } = await this.#call(path, ListTasksRequest, ListTasksResponse, { filter: "" }, namespace);
      return tasks.map((task) => `${namespace}/${task.id}`);
    });
    return new Set((await Promise.all(lists)).flat());
  }

  /** The state of each task of these namespaces, as its words go ("running"), by "namespace/id". @throws grpc's error. */
  async tasks(namespaces: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const names = Object.entries(Status).map(([name, value]) => [value, name.toLowerCase()] as const);
    const nameOf = new Map<number, string>(names);
    const lists = namespaces.map(async (namespace) => {
      const path = "/containerd.services.tasks.v1.Tasks/List";
      const { tasks } = await this.#call(path, ListTasksRequest, ListTasksResponse, { filter: "" }, namespace);
      return tasks.map((task) => [`${namespace}/${task.id}`, nameOf.get(task.status) ?? "unknown"] as const);
    });
    return new Map((await Promise.all(lists)).flat());
  }

  /** The names of all namespaces. @throws grpc's error when the daemon does not answer. */
  async namespaces(): Promise<string[]> {
    const path = "/containerd.services.namespaces.v1.Namespaces/List";
    const { namespaces } = await this.#call(
      path,
      ListNamespacesRequest,
      ListNamespacesResponse,
      { filter: "" },
      "default",
    );
    return namespaces.map(({ name }) => name);
  }

  /**
   * Calls `onEvent` for each event from now on. The promise ends when `stop` is called, or the daemon leaves.
   * @throws grpc's error when it cannot be asked.
   */
  subscribe(filters: readonly string[], onEvent: (event: Envelope) => void): { ended: Promise<void>; stop(): void } {
    const stream = this.#client.makeServerStreamRequest(
      "/containerd.services.events.v1.Events/Subscribe",
      (request: SubscribeRequest) => Buffer.from(SubscribeRequest.encode(request).finish()),
      (bytes: Buffer) => Envelope.decode(bytes),
      { filters: [...filters] },
      new Metadata(),
    );
    let stopped = false;
    const ended = new Promise<void>((resolve, reject) => {
      stream.on("data", onEvent);
      stream.on("end", resolve);
      stream.on("error", (fault) => (stopped ? resolve() : reject(fault)));
    });
    return {
      ended,
      stop: () => {
        stopped = true;
        stream.cancel();
      },
    };
  }

  /** @throws grpc's error when the daemon does not answer. */
  async version(): Promise<VersionResponse> {
    const empty: Encoder<object> = { encode: () => ({ finish: () => new Uint8Array(0) }) };
    return this.#call("/containerd.services.version.v1.Version/Version", empty, VersionResponse, {}, "default");
  }

  #call<Q, S>(path: string, request: Encoder<Q>, response: Decoder<S>, message: Q, namespace: string): Promise<S> {
    const metadata = new Metadata();
    metadata.set("containerd-namespace", namespace);
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        (value: Q) => Buffer.from(request.encode(value).finish()),
        (bytes: Buffer) => response.decode(bytes),
        message,
        metadata,
        { deadline: Date.now() + this.#timeoutMs },
        (fault, answer) => (fault === null ? resolve(answer as S) : reject(fault)),
      );
    });
  }
}
