// How `start` finds out whether the shim at a group's socket will really serve one more container. A connection alone
// proves little: the shim may be about to leave. So it is asked, by a call of its own (shims of other make do not know it, and
// say so, which is a yes as well); one that says yes does not leave before the container has come and gone. And as the
// answer of `start` must tell which task API will be served, a shim of other make is asked for that too.

import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { EAGAIN, EINTR, isErrno } from "../sys/errno.ts";
import { grpcCodes } from "../sys/error.ts";
import type { Fd, Sys } from "../sys/sys.d.ts";

export const joinService = "moor.shim.v1.Shim";
export const joinMethod = "Join";

/** For a shim that is stopped, or has a loaded machine: it is taken for one that serves, as it holds the socket. */
const patienceMs = 2_000;
const pauseMs = 1;
const headerBytes = 10;
const typeRequest = 1;
const longestAnswer = 4096;

/** Versions of containerd's task API. */
export type TaskVersion = 2 | 3;

/**
 * Asks whoever listens at the path. Blocks the process, so it is for short-lived ones.
 * @returns the version of the task API that it serves (2: also those who serve both, or say nothing in time); undefined when
 * nobody serves there, or nobody does any more.
 */
export function joinShim(sys: Sys, path: string, id: string): TaskVersion | undefined {
  const untilMs = sys.monotonicMs() + patienceMs;
  while (sys.monotonicMs() < untilMs) {
    const fd = sys.unixConnect(path);
    // EAGAIN: so many wait there that there is no room for one more now.
    if (isErrno(fd) && fd !== EAGAIN) return undefined;
    if (!isErrno(fd)) {
      const code = ask(sys, fd, frame(joinService, joinMethod, id), untilMs);
      sys.close(fd);
      if (code === grpcCodes.unimplemented) return spokenVersion(sys, path, id, untilMs);
      if (code !== undefined && code !== grpcCodes.unavailable) return 2;
    }
    // It leaves: its socket's file is gone already, or as soon as it comes to that.
    sys.sleepMs(pauseMs);
  }
  return 2;
}

/**
 * Of a shim of other make, by a Connect of task.v2, which changes nothing: the stock shim of containerd 1.6 and 1.7 serves
 * task.v2 alone, that of 2.x task.v3 alone.
 */
function spokenVersion(sys: Sys, path: string, id: string, untilMs: number): TaskVersion {
  const fd = sys.unixConnect(path);
  if (isErrno(fd)) return 2;
  const code = ask(sys, fd, frame("containerd.task.v2.Task", "Connect", id), untilMs);
  sys.close(fd);
  return code === grpcCodes.unimplemented ? 3 : 2;
}

/** @returns the code of the answer (0: ok); undefined when the connection ends, or time does, without one. */
function ask(sys: Sys, fd: Fd, request: Uint8Array, untilMs: number): number | undefined {
  // A new connection's buffer takes a few hundred bytes whole.
  if (sys.write(fd, request, 0, request.length) !== request.length) return undefined;
  const answer = new Uint8Array(headerBytes + longestAnswer);
  for (let have = 0; sys.monotonicMs() < untilMs; ) {
    const count = sys.read(fd, answer, have, answer.length - have);
    if (count === EAGAIN || count === EINTR) {
      sys.sleepMs(pauseMs);
      continue;
    }
    if (isErrno(count) || count === 0) return undefined;
    have += count;
    const length = have < 4 ? answer.length : new DataView(answer.buffer).getUint32(0);
    if (have >= headerBytes + length) return codeOf(answer.subarray(headerBytes, headerBytes + length));
  }
  return undefined;
}

/** Length, stream id 1, type, flags; then ttrpc's Request, whose message has the id as its first field. */
function frame(service: string, method: string, id: string): Uint8Array {
  const payload = new BinaryWriter().uint32(10).string(id).finish();
  const message = new BinaryWriter().uint32(10).string(service).uint32(18).string(method);
  const body = message.uint32(26).bytes(payload).finish();
  const bytes = new Uint8Array(headerBytes + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.length);
  view.setUint32(4, 1);
  view.setUint8(8, typeRequest);
  bytes.set(body, headerBytes);
  return bytes;
}

/** Field 1 of ttrpc's Response is a google.rpc.Status, whose field 1 is the code. */
function codeOf(response: Uint8Array): number {
  const field = (bytes: Uint8Array, wireType: number): BinaryReader | undefined => {
    const reader = new BinaryReader(bytes);
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      if (tag === ((1 << 3) | wireType)) return reader;
      reader.skip(tag & 7);
    }
    return undefined;
  };
  const status = field(response, 2)?.bytes();
  return (status === undefined ? undefined : field(status, 0)?.int32()) ?? 0;
}
