// containerd's own gRPC API as its clients use it: containers, tasks and events, with exact statuses and codes, and a
// deadline on every call but Wait.

import * as grpc from "@grpc/grpc-js";
import {
  type Container,
  CreateContainerRequest,
  CreateContainerResponse,
  DeleteContainerRequest,
} from "../../src/api/daemon/containers.ts";
import { PublishRequest, SubscribeRequest } from "../../src/api/daemon/events.ts";
import * as tasks from "../../src/api/daemon/tasks.ts";
import { Envelope } from "../../src/api/types.ts";

/** What ts-proto generates for a message. */
export interface MessageCodec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

interface EmptyMessage {}
const emptyCodec: MessageCodec<EmptyMessage> = {
  encode: () => ({ finish: () => new Uint8Array(0) }),
  decode: () => ({}),
};

const CALL_MS = 30_000;
const WAIT_MS = 3_600_000;

export class ContainerdApi {
  readonly #client: grpc.Client;
  readonly #metadata = new grpc.Metadata();

  constructor(address: string, namespace: string) {
    this.#client = new grpc.Client(`unix:${address}`, grpc.credentials.createInsecure(), {
      "grpc.max_receive_message_length": 16 << 20,
      // The daemon goes and comes back in some tests; the next call shall find it soon.
      "grpc.initial_reconnect_backoff_ms": 50,
      "grpc.max_reconnect_backoff_ms": 200,
    });
    this.#metadata.set("containerd-namespace", namespace);
    // A call made while the daemon is away waits for it, up to the call's deadline.
    this.#metadata.setOptions({ waitForReady: true });
  }

  close(): void {
    this.#client.close();
  }

  /** One unary call. @throws grpc.ServiceError with `code` and `details`. */
  call<Q, S>(
    method: string,
    requestCodec: MessageCodec<Q>,
    responseCodec: MessageCodec<S>,
    request: Q,
    deadlineMs = CALL_MS,
  ): Promise<S> {
    const options: grpc.CallOptions = { deadline: Date.now() + deadlineMs };
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        `/containerd.services.${method}`,
        (message: Q) => Buffer.from(requestCodec.encode(message).finish()),
        (bytes: Buffer) => responseCodec.decode(bytes),
        request,
        this.#metadata,
        options,
        (fault, response) => (fault ? reject(fault) : resolve(response as S)),
      );
    });
  }

  createContainer(container: Container): Promise<CreateContainerResponse> {
    const method = "containers.v1.Containers/Create";
    return this.call(method, CreateContainerRequest, CreateContainerResponse, { container });
  }

  async deleteContainer(id: string): Promise<void> {
    await this.call("containers.v1.Containers/Delete", DeleteContainerRequest, emptyCodec, { id });
  }

  createTask(request: tasks.CreateTaskRequest): Promise<tasks.CreateTaskResponse> {
    return this.#task("Create", tasks.CreateTaskRequest, tasks.CreateTaskResponse, request);
  }

  start(containerId: string, execId = ""): Promise<tasks.StartResponse> {
    return this.#task("Start", tasks.StartRequest, tasks.StartResponse, { containerId, execId });
  }

  get(containerId: string, execId = ""): Promise<tasks.GetResponse> {
    return this.#task("Get", tasks.GetRequest, tasks.GetResponse, { containerId, execId });
  }

  /** Ends with the process; its deadline is out of the way. */
  wait(containerId: string, execId = ""): Promise<tasks.WaitResponse> {
    const method = "tasks.v1.Tasks/Wait";
    return this.call(method, tasks.WaitRequest, tasks.WaitResponse, { containerId, execId }, WAIT_MS);
  }

  async kill(containerId: string, signal: number, execId = "", all = false): Promise<void> {
    await this.#task("Kill", tasks.KillRequest, emptyCodec, { containerId, execId, signal, all });
  }

  async exec(request: tasks.ExecProcessRequest): Promise<void> {
    await this.#task("Exec", tasks.ExecProcessRequest, emptyCodec, request);
  }

  deleteTask(containerId: string): Promise<tasks.DeleteResponse> {
    return this.#task("Delete", tasks.DeleteTaskRequest, tasks.DeleteResponse, { containerId });
  }

  deleteProcess(containerId: string, execId: string): Promise<tasks.DeleteResponse> {
    return this.#task("DeleteProcess", tasks.DeleteProcessRequest, tasks.DeleteResponse, { containerId, execId });
  }

  async resize(containerId: string, execId: string, width: number, height: number): Promise<void> {
    await this.#task("ResizePty", tasks.ResizePtyRequest, emptyCodec, { containerId, execId, width, height });
  }

  async closeStdin(containerId: string, execId = ""): Promise<void> {
    await this.#task("CloseIO", tasks.CloseIORequest, emptyCodec, { containerId, execId, stdin: true });
  }

  async pause(containerId: string): Promise<void> {
    await this.#task("Pause", tasks.PauseTaskRequest, emptyCodec, { containerId });
  }

  async resume(containerId: string): Promise<void> {
    await this.#task("Resume", tasks.ResumeTaskRequest, emptyCodec, { containerId });
  }

  pids(containerId: string): Promise<tasks.ListPidsResponse> {
    return this.#task("ListPids", tasks.ListPidsRequest, tasks.ListPidsResponse, { containerId });
  }

  metrics(containerId: string): Promise<tasks.MetricsResponse> {
    const request = { filters: [`id==${containerId}`] };
    return this.#task("Metrics", tasks.MetricsRequest, tasks.MetricsResponse, request);
  }

  async update(request: tasks.UpdateTaskRequest): Promise<void> {
    await this.#task("Update", tasks.UpdateTaskRequest, emptyCodec, request);
  }

  checkpoint(request: tasks.CheckpointTaskRequest): Promise<tasks.CheckpointTaskResponse> {
    return this.#task("Checkpoint", tasks.CheckpointTaskRequest, tasks.CheckpointTaskResponse, request);
  }

  list(): Promise<tasks.ListTasksResponse> {
    return this.#task("List", tasks.ListTasksRequest, tasks.ListTasksResponse, { filter: "" });
  }

  /** Publishes an event without content. */
  async publish(topic: string): Promise<void> {
    const event = { typeUrl: "google.protobuf.Empty", value: new Uint8Array() };
    await this.call("events.v1.Events/Publish", PublishRequest, emptyCodec, { topic, event });
  }

  /** Calls `onEvent` for each event of the namespace until the returned function is called. */
  subscribe(namespace: string, onEvent: (event: Envelope) => void): () => void {
    const stream = this.#client.makeServerStreamRequest(
      "/containerd.services.events.v1.Events/Subscribe",
      (message: SubscribeRequest) => Buffer.from(SubscribeRequest.encode(message).finish()),
      (bytes: Buffer) => Envelope.decode(bytes),
      { filters: [`namespace==${namespace}`] },
      this.#metadata,
    );
    stream.on("data", onEvent);
    // The daemon's death ends the stream; the test that kills it subscribes anew.
    stream.on("error", () => undefined);
    return () => stream.cancel();
  }

  #task<Q, S>(name: string, requestCodec: MessageCodec<Q>, responseCodec: MessageCodec<S>, request: Q): Promise<S> {
    return this.call(`tasks.v1.Tasks/${name}`, requestCodec, responseCodec, request);
  }
}

/** The gRPC code of a failed call, or undefined when it is no such error. */
export function codeOf(fault: unknown): grpc.status | undefined {
  return typeof fault === "object" && fault !== null && "code" in fault ? (fault.code as grpc.status) : undefined;
}

export { status as GrpcCode } from "@grpc/grpc-js";
