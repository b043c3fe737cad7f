// Where in the root file system a mount goes. A target inside it is a path that images may have filled with symbolic
// links: it is looked up by the kernel as if the root file system were the root folder, each time anew (after a mount the
// same path leads to what was mounted), and used through the fd that the look-up gave.

import { must } from "../sys/error.ts";
import { O_DIRECTORY, O_PATH } from "../sys/flags.ts";
import type { Fd, Sys } from "../sys/sys.d.ts";

const RESOLVE_NO_MAGICLINKS = 2;
const RESOLVE_IN_ROOT = 16;

export class MountTarget {
  readonly #sys: Sys;
  /** For texts. */
  readonly name: string;
  readonly rootfs: string;
  readonly #inside: string;

  /** `inside` is empty or / for the root file system itself. */
  constructor(sys: Sys, rootfs: string, inside: string) {
    this.#sys = sys;
    this.rootfs = rootfs;
    this.#inside = inside.replace(/^\/+/, "");
    this.name = this.#inside === "" ? rootfs : `${rootfs}/${this.#inside}`;
  }

  /**
   * Calls `use` with a path that leads to the target as it is now, and to nothing else, until `use` returns.
   * @throws MoorError when there is no such target.
   */
  use<T>(use: (path: string) => T): T {
    if (this.#inside === "") return use(this.rootfs);
    const fd = this.#open();
    try {
      return use(`/proc/self/fd/${fd}`);
    } finally {
      this.#sys.close(fd);
    }
  }

  /** The target's real path, for other programs and for unmounting. @throws MoorError when there is no such target. */
  realPath(): string {
    return this.#inside === ""
      ? this.rootfs
      : this.use((path) => must(this.#sys.readlink(path), `find mount target ${this.name}`));
  }

  #open(): Fd {
    const what = `find mount target ${this.name}`;
    const rootFd = must(this.#sys.open(this.rootfs, O_PATH | O_DIRECTORY, 0), what);
    const resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    const fd = this.#sys.openat2(rootFd, this.#inside, O_PATH, 0, resolve);
    this.#sys.close(rootFd);
    return must(fd, what);
  }
}
