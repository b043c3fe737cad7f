// The file system of a simulated machine: folders, plain files, FIFOs, and files of the kernel's own whose text is made
// when it is read. And open file descriptions: what fds, of the shim's and of other processes, stand for.

import { EEXIST, EISDIR, ENOENT, ENOTDIR } from "../src/sys/errno.ts";
import type { Status } from "../src/sys/sys.d.ts";
import { Pipe } from "./pipe.ts";
import type { VirtualProcess } from "./processes.ts";

export type Node =
  | { readonly kind: "folder" }
  | { readonly kind: "file"; bytes: Uint8Array }
  | { readonly kind: "device" }
  | { readonly kind: "fifo"; readonly pipe: Pipe }
  /** The kernel's: its text, what a write does, and who watches it. */
  | { readonly kind: "kernel"; text(): string; write?(text: string): Status; readonly inotifies?: Set<Description> }
  | { readonly kind: "socket"; readonly listener: Description };

export type DescriptionKind =
  | "pipe"
  | "tty"
  | "file"
  | "device"
  | "path"
  | "inotify"
  | "eventfd"
  | "pidfd"
  | "listener"
  | "connection";

/** What an fd stands for. It goes when the last fd that shares it is closed. */
export class Description {
  readonly kind: DescriptionKind;
  readonly label: string;
  /** What a read takes from. */
  readonly source: Pipe | undefined;
  /** What a write goes to. */
  readonly target: Pipe | undefined;
  readonly node: Node | undefined;
  /** Of a file. */
  offset = 0;
  /** Of an inotify or eventfd: something has happened since the last read. */
  pending = false;
  /** Of a listener its clients, of a connection the descriptions that were sent over it. */
  readonly inbox: Description[] = [];
  /** Called after each change that is not one of the pipes'. */
  readonly watchers = new Set<() => void>();
  /** Of a pidfd. */
  process: VirtualProcess | undefined;
  /** Called when the last fd is closed. */
  onRelease: () => void = () => undefined;
  #shares = 0;

  constructor(
    kind: DescriptionKind,
    label: string,
    of: { source?: Pipe | undefined; target?: Pipe | undefined; node?: Node | undefined } = {},
  ) {
    this.kind = kind;
    this.label = label;
    this.source = of.source;
    this.target = of.target;
    this.node = of.node;
    this.source?.open("read");
    this.target?.open("write");
  }

  get isOpen(): boolean {
    return this.#shares > 0;
  }

  share(): this {
    this.#shares++;
    return this;
  }

  release(): void {
    if (--this.#shares > 0) return;
    this.source?.close("read");
    this.target?.close("write");
    for (const each of this.inbox.splice(0)) each.release();
    this.onRelease();
  }

  notify(): void {
    for (const watcher of [...this.watchers]) watcher();
  }
}

/** Where the fake runtime keeps what it knows: its default root, and the namespace of all lives. */
export const runtimeRoot = "/run/containerd/runc/sim";
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class Files {
  readonly #nodes = new Map<string, Node>();
  readonly #inodes = new Map<Node, number>();

  constructor() {
    for (const folder of ["", "/dev", "/run", "/proc", "/proc/self", "/sys", runtimeRoot])
      this.#nodes.set(folder, { kind: "folder" });
    this.#nodes.set("/dev/null", { kind: "device" });
  }

  /** By which a node is told from others. */
  inodeOf(node: Node): number {
    const known = this.#inodes.get(node) ?? this.#inodes.size + 1;
    this.#inodes.set(node, known);
    return known;
  }

  get(path: string): Node | undefined {
    return this.#nodes.get(path);
  }

  put(path: string, node: Node): void {
    this.#nodes.set(path, node);
  }

  putText(path: string, text: string): void {
    this.#nodes.set(path, { kind: "file", bytes: encoder.encode(text) });
  }

  text(path: string): string | undefined {
    const node = this.#nodes.get(path);
    if (node?.kind === "kernel") return node.text();
    return node?.kind === "file" ? decoder.decode(node.bytes) : undefined;
  }

  makeFifo(path: string, capacity: number): Pipe {
    const pipe = new Pipe(capacity);
    this.#nodes.set(path, { kind: "fifo", pipe });
    return pipe;
  }

  mkdir(path: string): Status {
    if (this.#nodes.has(path)) return EEXIST;
    const above = this.#nodes.get(path.slice(0, path.lastIndexOf("/")));
    if (above?.kind !== "folder") return above === undefined ? ENOENT : ENOTDIR;
    this.#nodes.set(path, { kind: "folder" });
    return 0;
  }

  rmdir(path: string): Status {
    this.#nodes.delete(path);
    return 0;
  }

  unlink(path: string): Status {
    const node = this.#nodes.get(path);
    if (node === undefined) return ENOENT;
    if (node.kind === "folder") return EISDIR;
    this.#nodes.delete(path);
    return 0;
  }

  rename(from: string, to: string): Status {
    const node = this.#nodes.get(from);
    if (node === undefined) return ENOENT;
    this.#nodes.delete(from);
    this.#nodes.set(to, node);
    return 0;
  }

  paths(): IterableIterator<string> {
    return this.#nodes.keys();
  }

  /** With everything in it. */
  removeTree(path: string): void {
    for (const each of [...this.#nodes.keys()])
      if (each === path || each.startsWith(`${path}/`)) this.#nodes.delete(each);
  }

  names(folder: string): readonly (readonly [name: string, node: Node])[] {
    const found: [string, Node][] = [];
    for (const [path, node] of this.#nodes) {
      if (!path.startsWith(`${folder}/`)) continue;
      const name = path.slice(folder.length + 1);
      if (!name.includes("/")) found.push([name, node]);
    }
    return found;
  }
}
