// For a process that goes on with connections of an image before it: what a kept frame asks for, the answer to a request
// that nobody works on any more, and what a late answer says.

import { frameTypes, headerBytes } from "./frame.ts";
import { decodeRequest, decodeResponse, statusFrame } from "./messages.ts";
import type { StatusError } from "./status.ts";

/** Service and method of a request's whole frame; undefined when it is none. */
export function methodOfFrame(frame: Uint8Array): { readonly service: string; readonly method: string } | undefined {
  if (frame.length < headerBytes || frame[8] !== frameTypes.request) return undefined;
  try {
    const { service, method } = decodeRequest(frame, headerBytes, frame.length, false);
    return { service, method };
  } catch {
    // The server answers it as it does every such request.
    return undefined;
  }
}

/** A whole frame that answers the request of this stream id. */
export function refusalFrame(id: number, status: StatusError): Uint8Array {
  return statusFrame(id, status);
}

/** What a server's answer says of a call, from its first bytes. */
export function answerOfFrame(bytes: Uint8Array): "ok" | "refused" | "incomplete" {
  if (bytes.length < headerBytes) return "incomplete";
  const end = headerBytes + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  if (bytes.length < end) return "incomplete";
  try {
    return decodeResponse(bytes, headerBytes, end, false).status === undefined ? "ok" : "refused";
  } catch {
    return "refused";
  }
}
