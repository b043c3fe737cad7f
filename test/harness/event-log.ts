// The events of a scene's namespace as a subscriber of containerd sees them, decoded, in the order in which they came.

import * as events from "../../src/api/task-events.ts";
import type { Envelope } from "../../src/api/types.ts";
import type { ContainerdApi, MessageCodec } from "./containerd-api.ts";
import { until } from "./until.ts";

const CODECS: Readonly<Record<string, MessageCodec<object>>> = {
  "containerd.events.TaskCreate": events.TaskCreate,
  "containerd.events.TaskStart": events.TaskStart,
  "containerd.events.TaskDelete": events.TaskDelete,
  "containerd.events.TaskIO": events.TaskIO,
  "containerd.events.TaskExit": events.TaskExit,
  "containerd.events.TaskOOM": events.TaskOOM,
  "containerd.events.TaskExecAdded": events.TaskExecAdded,
  "containerd.events.TaskExecStarted": events.TaskExecStarted,
  "containerd.events.TaskPaused": events.TaskPaused,
  "containerd.events.TaskResumed": events.TaskResumed,
  "containerd.events.TaskCheckpointed": events.TaskCheckpointed,
};

/** One event. `fields` holds the decoded message. */
export interface SeenEvent {
  readonly topic: string;
  readonly namespace: string;
  readonly containerId: string;
  /** The exec's id or the container's, where the message has one. */
  readonly processId: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Decodes an envelope's event; events that are not about tasks have empty fields. */
export function decodeEvent(envelope: Envelope): SeenEvent {
  const type = envelope.event?.typeUrl.replace(/^.*\//, "") ?? "";
  const message = CODECS[type]?.decode(envelope.event?.value ?? new Uint8Array()) ?? {};
  const fields = message as Record<string, unknown>;
  return {
    topic: envelope.topic,
    namespace: envelope.namespace,
    containerId: String(fields["containerId"] ?? ""),
    processId: String(fields["execId"] ?? fields["id"] ?? ""),
    fields,
  };
}

export class EventLog {
  readonly all: SeenEvent[] = [];
  #cancel: () => void = () => undefined;
  #probes = 0;

  /** Subscribes (again, after the daemon was gone). */
  subscribe(api: ContainerdApi, namespace: string): void {
    this.#cancel();
    this.#cancel = api.subscribe(namespace, (envelope) => this.all.push(decodeEvent(envelope)));
  }

  /** Waits until the daemon really sends what happens: an event of our own has come back. */
  async untilSubscribed(api: ContainerdApi): Promise<void> {
    const probe = `/moor/probe-${this.#probes++}`;
    await until("the subscription to events", 10_000, async () => {
      await api.publish(probe);
      return this.all.some(({ topic }) => topic === probe);
    });
  }

  close(): void {
    this.#cancel();
  }

  /** The events of one container. */
  of(containerId: string): SeenEvent[] {
    return this.all.filter((event) => event.containerId === containerId);
  }

  /** The topics of one container, without "/tasks/". */
  topicsOf(containerId: string): string[] {
    return this.of(containerId).map((event) => event.topic.replace("/tasks/", ""));
  }

  /** Waits for an event of a container with this topic (without "/tasks/") and, if given, this process id. */
  async untilEvent(containerId: string, topic: string, processId?: string, deadlineMs = 10_000): Promise<SeenEvent> {
    return await until(
      `event ${topic} of ${processId ?? containerId}`,
      deadlineMs,
      () =>
        this.of(containerId).find(
          (event) => event.topic === `/tasks/${topic}` && (processId === undefined || event.processId === processId),
        ),
      () => JSON.stringify(this.topicsOf(containerId)),
    );
  }
}
