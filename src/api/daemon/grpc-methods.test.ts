import assert from "node:assert/strict";
import { test } from "node:test";
import { credentials, makeClientConstructor, Server, ServerCredentials } from "@grpc/grpc-js";
import { grpcMethods } from "./grpc-methods.ts";
import { GetRequest, GetResponse, TasksDefinition } from "./tasks.ts";

const toBuffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

test("grpcMethods: a grpc-js client and server made of it understand each other", async () => {
  const methods = grpcMethods(TasksDefinition, toBuffer);
  const server = new Server();
  server.addService(methods, {
    Get(call: { request: GetRequest }, reply: (error: null, answer: GetResponse) => void) {
      reply(null, GetResponse.fromPartial({ process: { id: call.request.containerId, pid: 7, exitStatus: 255 } }));
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  const Client = makeClientConstructor(methods, TasksDefinition.fullName);
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  try {
    const answer = await new Promise<GetResponse>((resolve, reject) => {
      const done = (error: Error | null, value: GetResponse) => (error ? reject(error) : resolve(value));
      client["get"]?.(GetRequest.fromPartial({ containerId: "c1" }), done);
    });
    assert.equal(answer.process?.id, "c1");
    assert.equal(answer.process?.exitStatus, 255);
  } finally {
    client.close();
    server.forceShutdown();
  }
});
