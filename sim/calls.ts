// What the simulated machine answers to the calls about fds, files and text. Each does what Linux does as far as the shim
// can tell.

import {
  EAGAIN,
  EBADF,
  EBUSY,
  EEXIST,
  EFBIG,
  EINVAL,
  EISDIR,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  ENXIO,
  isErrno,
} from "../src/sys/errno.ts";
import {
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_PATH,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  S_IFDIR,
  S_IFIFO,
  S_IFREG,
  S_IFSOCK,
} from "../src/sys/flags.ts";
import type { Errno, Fd, FileStat, Pid, Status, Sys } from "../src/sys/sys.d.ts";
import { cgroupOf, controllers } from "./container.ts";
import { Description, type Node } from "./files.ts";
import type { Kernel } from "./kernel.ts";
import { Pipe } from "./pipe.ts";
import { processCalls, socketCalls } from "./process-calls.ts";

/** What a pipe of this machine holds: little, so that it is full soon. */
export const pipeBytes = 96;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const modes: Readonly<Record<Node["kind"], number>> = {
  folder: S_IFDIR | 0o755,
  file: S_IFREG | 0o644,
  device: 0o020666,
  fifo: S_IFIFO | 0o600,
  kernel: S_IFREG | 0o444,
  socket: S_IFSOCK | 0o600,
};
const types: Readonly<Record<Node["kind"], number>> = { folder: 4, file: 8, device: 2, fifo: 1, kernel: 8, socket: 12 };

/** All of them, on this kernel. */
export function calls(kernel: Kernel): Partial<Sys> {
  return {
    ...fdCalls(kernel),
    ...fileCalls(kernel),
    ...processCalls(kernel),
    ...socketCalls(kernel),
    ...textCalls(kernel),
  };
}

function fdCalls(kernel: Kernel): Partial<Sys> {
  return {
    read: (fd, into, offset, length) => read(kernel, fd, into, offset, length),
    write: (fd, from, offset, length) => {
      const description = kernel.find(fd);
      const bytes = from.subarray(offset, offset + length);
      if (description?.target !== undefined) return description.target.write(bytes);
      const node = description?.node;
      if (description === undefined || node?.kind !== "file") return EBADF;
      const grown = new Uint8Array(Math.max(node.bytes.length, description.offset + bytes.length));
      grown.set(node.bytes);
      grown.set(bytes, description.offset);
      node.bytes = grown;
      description.offset += bytes.length;
      return bytes.length;
    },
    close: (fd) => kernel.close(fd),
    dup: (fd) => {
      const description = kernel.find(fd);
      return description === undefined ? EBADF : kernel.open(description);
    },
    pipe: () => {
      const pipe = new Pipe(pipeBytes);
      return [
        kernel.open(new Description("pipe", "pipe for reading", { source: pipe })),
        kernel.open(new Description("pipe", "pipe for writing", { target: pipe })),
      ];
    },
    readable: (fd) => kernel.find(fd)?.source?.bytes ?? EBADF,
    setNonblock: (fd) => (kernel.find(fd) === undefined ? EBADF : 0),
    fchown: (fd) => (kernel.find(fd) === undefined ? EBADF : 0),
    seek: (fd, offset) => {
      const description = kernel.find(fd);
      if (description === undefined) return EBADF;
      description.offset = offset;
      return offset;
    },
    ftruncate: (fd, size) => {
      const node = kernel.find(fd)?.node;
      if (node?.kind !== "file") return EINVAL;
      node.bytes = node.bytes.slice(0, size);
      return 0;
    },
    fstat: (fd) => {
      const node = kernel.find(fd)?.node;
      return node === undefined ? EBADF : statOf(kernel, node);
    },
    pumpStart: (request, fn) => kernel.pumps.start(request, fn),
    pumpDrained: (id, fn) => kernel.pumps.drained(id, fn),
    pumpStop: (id) => kernel.pumps.stop(id),
    pumpState: (id) => kernel.pumps.state(id),
  };
}

function read(kernel: Kernel, fd: Fd, into: Uint8Array, offset: number, length: number): number | Errno {
  const description = kernel.find(fd);
  if (description === undefined) return EBADF;
  let bytes: Uint8Array | Errno;
  if (description.source !== undefined) bytes = description.source.read(length);
  else if (description.kind === "inotify" || description.kind === "eventfd") {
    if (!description.pending) return EAGAIN;
    description.pending = false;
    bytes = new Uint8Array(description.kind === "inotify" ? 16 : 8);
  } else if (description.node?.kind === "file") {
    bytes = description.node.bytes.subarray(description.offset, description.offset + length);
    description.offset += bytes.length;
  } else bytes = new Uint8Array(0);
  if (isErrno(bytes)) return bytes;
  into.set(bytes, offset);
  return bytes.length;
}

function statOf({ files }: Kernel, node: Node): FileStat {
  const size = node.kind === "file" ? node.bytes.length : 0;
  const ino = files.inodeOf(node);
  return { mode: modes[node.kind], uid: 0, gid: 0, size, dev: 1, ino, rdev: 0, nlink: 1, mtimeMs: 0 };
}

function open(kernel: Kernel, path: string, flags: number): Fd | Errno {
  const { files } = kernel;
  const own = /^\/proc\/self\/fd\/(\d+)$/.exec(path)?.[1];
  if (own !== undefined) return openAgain(kernel, Number(own) as Fd);
  let node = files.get(path);
  if (node === undefined) {
    if ((flags & O_CREAT) === 0) return ENOENT;
    if (files.get(path.slice(0, path.lastIndexOf("/")))?.kind !== "folder") return ENOENT;
    files.putText(path, "");
    node = files.get(path) as Node;
  } else if ((flags & O_EXCL) !== 0) return EEXIST;
  if ((flags & O_PATH) !== 0) return kernel.open(new Description("path", path, { node }));
  if (node.kind === "folder" && (flags & O_DIRECTORY) === 0) return EISDIR;
  if (node.kind === "folder") return kernel.open(new Description("path", path, { node }));
  if (node.kind === "socket") return ENXIO;
  if (node.kind === "device") return kernel.open(new Description("device", path, { node }));
  const writes = (flags & (O_WRONLY | O_RDWR)) !== 0;
  if (node.kind === "fifo") {
    if (!writes) return kernel.open(new Description("pipe", `${path} for reading`, { source: node.pipe }));
    if (node.pipe.readers === 0) return ENXIO;
    return kernel.open(new Description("pipe", `${path} for writing`, { target: node.pipe }));
  }
  if (node.kind === "file" && (flags & O_TRUNC) !== 0) node.bytes = new Uint8Array(0);
  return kernel.open(new Description("file", path, { node }));
}

/** A FIFO of which the shim has a read end, for writing: the only such open there is. */
function openAgain(kernel: Kernel, fd: Fd): Fd | Errno {
  const pipe = kernel.find(fd)?.source;
  if (pipe === undefined) return ENOENT;
  return kernel.open(new Description("pipe", `fd ${fd} again, for writing`, { target: pipe }));
}

function writeText(kernel: Kernel, path: string, text: string, flags: number): Status {
  const { files } = kernel;
  const node = files.get(path);
  if (node?.kind === "kernel") return node.write?.(text) ?? EINVAL;
  if (node !== undefined && (flags & O_EXCL) !== 0) return EEXIST;
  if (node === undefined && (flags & O_CREAT) === 0) return ENOENT;
  if (files.get(path.slice(0, path.lastIndexOf("/")))?.kind !== "folder") return ENOENT;
  files.putText(path, text);
  return 0;
}

/** Files of procfs that are made as they are read. */
function procText(kernel: Kernel, path: string): string | undefined {
  const { children, all } = kernel.processes;
  const { cgroupVersion } = kernel.options;
  if (path === "/proc/self/task/1/children") return children.map(({ pid }) => `${pid} `).join("");
  if (path === "/proc/self/mountinfo") return kernel.mounts.text();
  if (path === "/proc/self/cgroup") return membership(cgroupVersion, "/shim");
  const match = /^\/proc\/(\d+)\/(cgroup|comm)$/.exec(path);
  const process = match === null ? undefined : all.get(Number(match[1]) as Pid);
  if (process === undefined) return undefined;
  if (match?.[2] === "comm") return `${process.comm}\n`;
  return membership(cgroupVersion, process.ended === undefined ? `/${process.cgroup}` : "/");
}

function membership(version: 1 | 2, cgroup: string): string {
  if (version === 2) return `0::${cgroup}\n`;
  return controllers.map((name, index) => `${index + 1}:${name}:${cgroup}\n`).join("");
}

/** rmdir of a folder, or of a cgroup with what the kernel has in it. */
function rmdir({ files, processes }: Kernel, path: string): Status {
  const node = files.get(path);
  if (node === undefined) return ENOENT;
  if (node.kind !== "folder") return ENOTDIR;
  const cgroup = cgroupOf(path);
  if (cgroup === undefined) return files.names(path).length > 0 ? ENOTEMPTY : files.rmdir(path);
  if (processes.livingIn(cgroup).length > 0) return EBUSY;
  files.removeTree(path);
  return 0;
}

/** Links of procfs: open fds and pid namespaces. */
function readlink(kernel: Kernel, path: string): string | Errno {
  const fd = /^\/proc\/self\/fd\/(\d+)$/.exec(path)?.[1];
  if (fd !== undefined) return kernel.find(Number(fd) as Fd)?.label ?? ENOENT;
  const match = /^\/proc\/(self|\d+)\/ns\/pid$/.exec(path);
  const process = kernel.processes.all.get(Number(match?.[1]) as Pid);
  if (match === null || (match[1] !== "self" && process === undefined)) return ENOENT;
  return `pid:[${process?.nsInit === undefined ? 0 : process.nsInit.birth + 1}]`;
}

function fileCalls(kernel: Kernel): Partial<Sys> {
  const { files } = kernel;
  return {
    open: (path, flags) => open(kernel, path, flags),
    readText: (path, maxBytes) => {
      const text = procText(kernel, path) ?? files.text(path);
      if (text === undefined) return ENOENT;
      return text.length > maxBytes ? EFBIG : text;
    },
    writeText: (path, text, flags) => writeText(kernel, path, text, flags),
    readdir: (path) => {
      if (path === "/proc/self/task") return [["1", 4]];
      if (files.get(path)?.kind !== "folder") return files.get(path) === undefined ? ENOENT : ENOTDIR;
      return files.names(path).map(([name, node]) => [name, types[node.kind]] as const);
    },
    stat: (path) => {
      const node = files.get(path);
      return node === undefined ? ENOENT : statOf(kernel, node);
    },
    readlink: (path) => readlink(kernel, path),
    access: (path) => (files.get(path) === undefined ? ENOENT : 0),
    mkdir: (path) => files.mkdir(path),
    unlink: (path) => files.unlink(path),
    rmdir: (path) => rmdir(kernel, path),
    lstat: (path) => {
      const node = files.get(path);
      return node === undefined ? ENOENT : statOf(kernel, node);
    },
    flock: (fd) => (kernel.find(fd) === undefined ? EBADF : 0),
    getcwd: () => "/",
    chdir: () => 0,
    mount: (_source, target, type, flags) => kernel.mounts.mount(files, target, type, flags),
    umount: (target, flags) => kernel.mounts.umount(target, flags),
    fsFlags: () => 0,
    rename: (from, to) => files.rename(from, to),
    eventfd: () => kernel.open(new Description("eventfd", "eventfd")),
    inotifyCreate: () => kernel.open(new Description("inotify", "inotify")),
    inotifyAdd: (fd, path) => {
      const [description, node] = [kernel.find(fd), files.get(path)];
      if (description === undefined) return EBADF;
      if (node?.kind !== "kernel" || node.inotifies === undefined) return ENOENT;
      const { inotifies } = node;
      inotifies.add(description);
      description.onRelease = () => inotifies.delete(description);
      return 1;
    },
  };
}

function textCalls(kernel: Kernel): Partial<Sys> {
  return {
    randomBytes: (count) => Uint8Array.from({ length: count }, () => kernel.random.below(256)),
    encodeUtf8: (text) => encoder.encode(text),
    decodeUtf8: (bytes) => decoder.decode(bytes),
  };
}
