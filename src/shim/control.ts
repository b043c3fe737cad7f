// The control service, moor.control.v1.Control: what people (the moor command) ask of a shim and daemons do not. Loaded by
// its first call. Who takes hold of a container by it is named in the shim's log.

import {
  type CallContext,
  type Cancellation,
  type Handler,
  protoCodec,
  type Sender,
  serverStreaming,
  unary,
} from "ttrpc";
import * as api from "../api/control.ts";
import { Empty } from "../api/google/protobuf/empty.ts";
import { MoorError } from "../sys/error.ts";
import type { LogFields } from "../sys/log.ts";
import type { Peer } from "./context.ts";
import type { ControlMethod, ControlParts } from "./control-door.ts";
import { controlMethods } from "./control-door.ts";
import { serveExec } from "./control-exec.ts";
import { levels } from "./logger.ts";
import { sendLines } from "./log-stream.ts";
import { version } from "./version.ts";

/** @param closing cancelled when the shim leaves. */
export function makeControl(parts: ControlParts, closing: Cancellation): Readonly<Record<ControlMethod, Handler>> {
  const { log, tasks } = parts;
  const note = (what: string, { peer }: CallContext, fields: LogFields): void => {
    const { pid = 0, uid = 0 } = (peer as Peer) ?? {};
    log.info(what, { ...fields, pid, uid });
  };
  return {
    Describe: unary(protoCodec(Empty), protoCodec(api.DescribeResponse), () => {
      return { version, methods: [...controlMethods] };
    }),
    Inspect: unary(protoCodec(api.InspectRequest), protoCodec(api.InspectResponse), ({ id }) => ({
      json: inspect(parts, id),
    })),
    Logs: serverStreaming(protoCodec(api.LogsRequest), protoCodec(api.LogsResponse), ({ follow }, output, context) =>
      sendLines(log, follow, output, [context.cancellation, closing]),
    ),
    SetLogLevel: unary(protoCodec(api.SetLogLevelRequest), protoCodec(api.SetLogLevelResponse), (request, context) => {
      const level = levels.find((each) => each === request.level);
      if (level === undefined) {
        throw new MoorError(
          "invalid_argument",
          `log level ${JSON.stringify(request.level)}: it is one of ${levels.join(", ")}`,
        );
      }
      const before = log.setLevel(level);
      note("the log's level was changed", context, { from: before, to: level });
      return { level: before };
    }),
    Exec: serverStreaming(protoCodec(api.ExecRequest), protoCodec(api.ExecResponse), (request, output, context) => {
      const { id, execId, terminal, detach } = request;
      tasks.find(id);
      note("an exec was asked for", context, { id, exec: execId, terminal, detach });
      return serveExec(parts, request, output, [context.cancellation, closing]);
    }),
    Kill: unary(protoCodec(api.KillRequest), protoCodec(Empty), async ({ id, execId, signal, all }, context) => {
      const container = tasks.find(id);
      note("a signal was asked for", context, { id, exec: execId, signal, all });
      await container.kill(execId, signal, all, context.peer as Peer);
      return {};
    }),
    Attach: serverStreaming(
      protoCodec(api.AttachRequest),
      protoCodec(api.AttachResponse),
      async (request, output, context) => {
        const { id, execId: exec } = request;
        tasks.find(id).process(exec);
        note("somebody has attached", context, { id, exec });
        await attached(output, [context.cancellation, closing]);
        note("somebody who was attached has left", context, { id, exec });
      },
    ),
  };
}

/** Ends with the first of these. */
async function attached(output: Sender<api.AttachResponse>, ends: readonly Cancellation[]): Promise<void> {
  await output.send({}).catch(() => undefined);
  await new Promise<void>((resolve) => {
    for (const end of ends) end.onCancel(resolve);
  });
}

/** All that is known of the shim, and of this container alone. @throws MoorError not_found. */
function inspect({ tasks, dump }: ControlParts, id: string): string {
  tasks.find(id);
  const { containers, ...rest } = dump();
  const container = (containers as readonly { readonly id: string }[]).find((each) => each.id === id);
  const others = (containers as readonly { readonly id: string }[])
    .map((each) => each.id)
    .filter((each) => each !== id);
  return JSON.stringify({ ...rest, container, others }, (_key, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  );
}
