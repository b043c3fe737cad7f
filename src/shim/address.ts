// Where a shim's socket is: containerd's own rule for its name, and the checks that come with unix sockets.

import { EAGAIN, isErrno } from "../sys/errno.ts";
import { MoorError } from "../sys/error.ts";
import type { Sys } from "../sys/sys.d.ts";
import { sha256Hex } from "./sha256.ts";

/** Used by every containerd before 2.3, and by default after it. */
export const defaultSocketFolder = "/run/containerd/s";

// sockaddr_un.sun_path with its final NUL (unix(7)).
const longestPath = 107;

/**
 * The path of the socket for a container or group: the folder, and the hash of daemon address, namespace and id joined
 * as a path, so that two daemons on one host do not meet.
 * @throws MoorError invalid_argument when the folder is so long that no client could open the socket.
 */
export function socketPath(
  sys: Sys,
  folder: string,
  daemonAddress: string,
  namespace: string,
  groupOrId: string,
): string {
  const name = joinPath([daemonAddress, namespace, groupOrId]);
  const path = `${folder}/${sha256Hex(sys.encodeUtf8(name))}`;
  const length = sys.encodeUtf8(path).length;
  if (length > longestPath) {
    throw new MoorError(
      "invalid_argument",
      `the socket path ${path} has ${length} bytes, and a unix socket's may have ${longestPath}: use a shorter socket folder`,
    );
  }
  return path;
}

/** The path in "unix:///path", or a bare path; undefined when it is neither. */
export function pathOfAddress(address: string): string | undefined {
  const path = address.startsWith("unix://") ? address.slice("unix://".length) : address;
  return path.startsWith("/") ? path : undefined;
}

/** Whether someone listens on the socket; also when so many wait there that there is no room for one more now. */
export function answers(sys: Sys, path: string): boolean {
  const fd = sys.unixConnect(path);
  if (isErrno(fd)) return fd === EAGAIN;
  sys.close(fd);
  return true;
}

// filepath.Join of Go: empty parts left out, "//" and "/./" folded, ".." resolved. Both sides must hash the same text.
function joinPath(parts: readonly string[]): string {
  const joined = parts.filter((part) => part !== "").join("/");
  if (joined === "") return "";
  const rooted = joined.startsWith("/");
  const out: string[] = [];
  for (const part of joined.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") out.push(part);
    else if (out.length > 0 && out[out.length - 1] !== "..") out.pop();
    else if (!rooted) out.push(part);
  }
  const clean = out.join("/");
  return rooted ? `/${clean}` : clean === "" ? "." : clean;
}
