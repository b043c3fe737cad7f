// Everything of the package that runs on any engine: client, server, the ways of describing methods and messages, and
// what one has to provide for them (a transport, timers).

export { type Cancellation, CancelSource } from "./cancellation.ts";
export type { CallContext, Handler } from "./call.ts";
export {
  type BidiStream,
  bidiStream,
  type ClientStream,
  clientStream,
  type ServerStream,
  serverStream,
} from "./client-stream.ts";
export { type CallOptions, Client, type ClientOptions } from "./client.ts";
export { type Codec, type MessageFns, protoCodec, raw } from "./codec.ts";
export { defaultLimits, type Limits } from "./limits.ts";
export type { Metadata } from "./messages.ts";
export { answerOfFrame, methodOfFrame, refusalFrame } from "./resume.ts";
export { type ServedConnection, Server, type ServerOptions } from "./server.ts";
export type { PendingCall } from "./server-connection.ts";
export { bidiStreaming, clientStreaming, serverStreaming } from "./server-stream.ts";
export { codes, type StatusDetail, StatusError, statusOfThrown } from "./status.ts";
export type { Receiver, Sender } from "./stream.ts";
export type { Timers, Transport, TransportEvents } from "./transport.ts";
export { unary } from "./unary.ts";
