// The few calls of Sys that reading files takes, over bytes in memory: what the kernel, a daemon or a runtime has
// written is the input of the target. Everything else of Sys is missing, and using it is a finding.

import { EBADF, EFBIG, ENOENT } from "../../src/sys/errno.ts";
import type { Fd, FileStat, Sys } from "../../src/sys/sys.d.ts";

const encoder = new TextEncoder();
// As the host's sys.decodeUtf8: malformed sequences become U+FFFD, a byte order mark stays.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export function decodeText(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/**
 * @param read the content of the file at this path; undefined: there is none.
 * @param folders names in the folder at this path.
 */
export function memorySys(
  read: (path: string) => Uint8Array | undefined,
  folders: (path: string) => readonly string[] | undefined = () => undefined,
): Sys {
  const open = new Map<number, { readonly bytes: Uint8Array; at: number }>();
  let next = 3;
  const sys: Partial<Sys> = {
    encodeUtf8: (text) => encoder.encode(text),
    decodeUtf8: decodeText,
    getpid: () => 77 as never,
    readText: (path, maxBytes) => {
      const bytes = read(path);
      if (bytes === undefined) return ENOENT;
      return bytes.length > maxBytes ? EFBIG : decodeText(bytes);
    },
    readdir: (path) => folders(path)?.map((name) => [name, 8] as const) ?? ENOENT,
    open: (path) => {
      const bytes = read(path);
      if (bytes === undefined) return ENOENT;
      open.set(next, { bytes, at: 0 });
      return next++ as Fd;
    },
    fstat: (fd) => {
      const file = open.get(fd);
      return file === undefined ? EBADF : ({ size: file.bytes.length } as FileStat);
    },
    seek: (fd, offset) => {
      const file = open.get(fd);
      if (file === undefined) return EBADF;
      file.at = offset;
      return offset;
    },
    read: (fd, into, offset, length) => {
      const file = open.get(fd);
      if (file === undefined) return EBADF;
      const part = file.bytes.subarray(file.at, file.at + length);
      into.set(part, offset);
      file.at += part.length;
      return part.length;
    },
    close: (fd) => (open.delete(fd) ? 0 : EBADF),
  };
  return sys as Sys;
}
