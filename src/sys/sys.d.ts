// The whole surface through which TypeScript meets the kernel, on one page. The C host implements it as the
// module "sys"; tests and the simulated kernel implement the same interface. Mechanism only: a call returns its
// value, or a negative errno; no word about containers, no policy, no text for people. Nothing here throws, but
// for a TypeError when an argument is of the wrong type (a bug in the caller).
//
// Rules that hold for every call:
// - every fd made here is CLOEXEC from birth, and has one owner; a parameter named take…Fd hands the fd over, even when
//   the call fails; every other fd is borrowed;
// - no call blocks on a peer: sockets, pipes and FIFOs are non-blocking, regular files and procfs are read directly;
// - callbacks run from the event loop, never from within the call that registered them; promise jobs are drained after
//   each callback; an exception that leaves a callback goes to onUncaught and ends nothing.

/** A process id. Only src/reaper makes or uses one. */
export type Pid = number & { readonly __brand: "Pid" };
/** A file descriptor. */
export type Fd = number & { readonly __brand: "Fd" };
/** A negative errno, as the kernel returns it. Names and helpers: errno.ts. */
export type Errno = number & { readonly __brand: "Errno" };
/** What a call gives that can only succeed or fail. */
export type Status = 0 | Errno;
export type TimerId = number & { readonly __brand: "TimerId" };
export type PumpId = number & { readonly __brand: "PumpId" };

/** One entry of a child's fd table: after the fork `source` of the parent becomes `target` of the child. */
export interface FdMapping {
  readonly target: number;
  readonly source: Fd;
}

export interface SpawnRequest {
  /** Absolute path, or a name looked up in the PATH of `env`. */
  readonly file: string;
  readonly argv: readonly string[];
  /** The whole environment, as NAME=value. */
  readonly env: readonly string[];
  readonly cwd?: string;
  /** The child's whole fd table; 0, 1 and 2 not named here are /dev/null. Nothing else is open in the child. */
  readonly fds: readonly FdMapping[];
  /** New process group led by the child. */
  readonly newGroup?: boolean;
  /** New session (setsid). */
  readonly newSession?: boolean;
  /** PR_SET_PDEATHSIG of the child; absent: none. */
  readonly parentDeathSignal?: number;
}

/** What waitid(2) tells of one child. */
export interface ChildExit {
  readonly pid: Pid;
  /** CLD_EXITED 1, CLD_KILLED 2, CLD_DUMPED 3. */
  readonly code: number;
  /** The exit status for CLD_EXITED, else the signal number. */
  readonly status: number;
}

export interface FileStat {
  /** st_mode with the type bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes. */
  readonly size: number;
  readonly dev: number;
  readonly ino: number;
  readonly rdev: number;
  readonly nlink: number;
  /** Modification time, milliseconds since 1970. */
  readonly mtimeMs: number;
}

export interface PeerCredentials {
  readonly pid: Pid;
  readonly uid: number;
  readonly gid: number;
}

/** Why a pump called back. Sent once, as its last word: the pump and both its fds are gone when it arrives. */
export interface PumpEnd {
  /** "eof": the source ended (read 0, or EIO of a PTY). "closed": the destination has no reader (EPIPE) or was stopped. "failed": see errno. */
  readonly reason: "eof" | "closed" | "failed";
  readonly errno: number;
  /** Bytes that reached the destination in all. */
  readonly bytes: bigint;
}

export interface PumpRequest {
  /** Pipe, FIFO, PTY master, socket or file that is read. Closed by the pump. */
  readonly takeSourceFd: Fd;
  /** Pipe, FIFO, PTY master or file that is written. Closed by the pump as soon as the stream has ended. */
  readonly takeTargetFd: Fd;
  /** Wanted pipe size in bytes on either side that is a pipe, once the stream has filled one (F_SETPIPE_SZ; EPERM is tolerated); absent: left alone. */
  readonly pipeSize?: number;
}

export interface PumpState {
  readonly bytes: bigint;
  /** Bytes read but not yet written (PTY and file pumps only; a splice holds none). */
  readonly buffered: number;
  /** What the pump waits for now. */
  readonly waitsFor: "source" | "target";
}

/** By which a kept record is replaced or dropped; 0 is none's. */
export type KeptHandle = number & { readonly __brand: "KeptHandle" };

/** One crash of an earlier image of this process. */
export interface Crash {
  /** CLOCK_REALTIME. */
  readonly atNs: bigint;
  /** 0: the heap was exhausted. */
  readonly signal: number;
  /** si_code. */
  readonly code: number;
  /** What was touched, and by which instruction: hexadecimal. */
  readonly address: string;
  readonly instruction: string;
  /** The pid that sent the signal; 0 for a fault of our own. */
  readonly sender: number;
}

/** A followed connection as the image before left it. */
export interface KeptConnection {
  readonly fd: Fd;
  /** False: where the next frame begins is not known. */
  readonly sound: boolean;
  /** The part of a frame that has come. */
  readonly input: Uint8Array;
  /** The rest of a frame of which a part has gone. */
  readonly output: Uint8Array;
  /** Requests that are not answered, the newest first; of a long one the frame is empty. */
  readonly calls: readonly { readonly id: number; readonly frame: Uint8Array }[];
}

/** What the image before has left. */
export interface Kept {
  /** The last ones, the oldest first. */
  readonly crashes: readonly Crash[];
  readonly crashCount: number;
  /** There were too many: the process shall write down what it knows, and end. */
  readonly lastWords: boolean;
  /** `number` grows with the time of writing; 0: the record is damaged. */
  readonly records: readonly { readonly handle: KeptHandle; readonly number: number; readonly bytes: Uint8Array }[];
  readonly connections: readonly KeptConnection[];
  /** Children that were started by spawn and not reaped. */
  readonly spawned: readonly { readonly pid: Pid }[];
  /** Children that were reaped in the turn that was cut short. */
  readonly reaped: readonly ChildExit[];
  /** All fds from 3 on that the image before had, but for those that the host itself goes on with. None is close-on-exec. */
  readonly fds: readonly Fd[];
}

export interface Sys {
  // ---- the host ----
  /** argv[0] first. */
  readonly args: readonly string[];
  /** The environment the process was started with, as NAME=value. */
  readonly environ: readonly string[];
  /** Ends the process at once; nothing runs after it. */
  exit(code: number): never;
  /** Called with message and stack of an exception or rejection that nobody caught. At most one function. */
  onUncaught(fn: (text: string) => void): void;
  /** Collects garbage now and gives free memory back to the kernel (worth it after a burst, when idle). */
  collectGarbage(): void;
  /** Bytes the engine has allocated, and its limit. */
  heap(): { readonly usedBytes: number; readonly limitBytes: number };

  // ---- what outlives a crash ----
  /**
   * From now on a crash (a fault, abort, an exhausted heap) executes the program anew in this process, which finds in kept()
   * what was kept. write is called at the end of each turn in which keepTouch() was called.
   */
  keepStart(write: () => void): Status;
  /** Keeps a copy of the bytes, in the place of another record unless that is 0. The handle is 0 where nothing is kept. */
  keep(bytes: Uint8Array, replaces: KeptHandle): KeptHandle | Errno;
  keepDrop(handle: KeptHandle): void;
  keepTouch(): void;
  /** Undefined: this is the first image. */
  kept(): Kept | undefined;
  /** Ends the kept pumps that nobody has resumed. */
  keepDropRest(): void;
  /** The requests that come over this ttrpc connection, and the frames that go (each in writes of its own), are kept track of until it is closed. */
  followRequests(fd: Fd): Status;

  // ---- loop: timers, readiness, signals ----
  /** One shot, milliseconds (0 = next turn), monotonic clock. A pending timer keeps the loop alive. */
  timerStart(delayMs: number, fn: () => void): TimerId;
  /** Nothing happens when it has fired or was stopped before. */
  timerStop(id: TimerId): void;
  /**
   * Level-triggered; one poll per fd (-EEXIST); -EPERM for a regular file. fn gets POLLIN 1, POLLOUT 4, POLLERR 8,
   * POLLHUP 16 or-ed; error and hang-up come unasked, again and again, unless events is 0: that silences the poll, and
   * alone it does not keep the loop alive. Stop it before the fd is closed.
   */
  pollStart(fd: Fd, events: number, fn: (events: number) => void): Status;
  pollChange(fd: Fd, events: number): Status;
  pollStop(fd: Fd): Status;
  /** Blocks these signals and calls fn for each from the loop (signalfd). May be called once. It keeps the loop alive. SIGPIPE and SIGXFSZ are always ignored. */
  signalStart(signals: readonly number[], fn: (signal: number, senderPid: Pid) => void): Status;

  /** Blocks the whole process (nanosleep): only for the short-lived `start`, before the loop has been used. */
  sleepMs(durationMs: number): void;

  // ---- process ----
  getpid(): Pid;
  getppid(): Pid;
  getuid(): number;
  /** Plain fork: 0 in the child. Only before the loop has been used (timers, polls, signals); -EBUSY after. */
  fork(): Pid | 0 | Errno;
  setsid(): Pid | Errno;
  /** PR_SET_CHILD_SUBREAPER. */
  becomeSubreaper(): Status;
  /** PR_SET_NAME: the comm of this process, 15 bytes. */
  setProcessName(name: string): Status;
  /** Raw prctl(2), for what has no call of its own here (PR_SCHED_CORE). Numbers only. */
  prctl(option: number, arg2: number, arg3: number, arg4: number, arg5: number): number | Errno;
  umask(mask: number): number;
  getcwd(): string | Errno;
  chdir(path: string): Status;
  fchdir(fd: Fd): Status;
  /** vfork and execve with empty signal mask, default dispositions and exactly the fds named. An exec failure is the returned errno: no process remains. */
  spawn(request: SpawnRequest): { readonly pid: Pid; readonly pidfd: Fd } | Errno;
  /** waitid P_ALL, WEXITED|WNOHANG|WNOWAIT: the first zombie child, which stays a zombie; undefined when there is none. */
  peekAny(): ChildExit | undefined | Errno;
  /** The same for one child, by pid; undefined while it lives; -ECHILD when it is not our child. */
  peekPid(pid: Pid): ChildExit | undefined | Errno;
  /** The same by pidfd. */
  peekPidfd(pidfd: Fd): ChildExit | undefined | Errno;
  /** waitid P_PID, WEXITED|WNOHANG: the zombie is gone afterwards, and with it the pid. */
  reap(pid: Pid): ChildExit | undefined | Errno;
  pidfdOpen(pid: Pid): Fd | Errno;
  pidfdSignal(pidfd: Fd, signal: number): Status;
  kill(pid: number, signal: number): Status;
  /** setns(2); nsType 0 = any. */
  setns(fd: Fd, nsType: number): Status;
  /** A new user namespace with these maps (text of uid_map and gid_map), by a short-lived child: its nsfd. */
  userNamespace(uidMap: string, gidMap: string): Fd | Errno;

  // ---- fd ----
  /** read(2) into the buffer at offset, at most length bytes: bytes read, 0 at end. */
  read(fd: Fd, into: Uint8Array, offset: number, length: number): number | Errno;
  write(fd: Fd, from: Uint8Array, offset: number, length: number): number | Errno;
  close(fd: Fd): Status;
  dup(fd: Fd): Fd | Errno;
  /** dup2: the target is replaced, and stays CLOEXEC unless it is 0, 1 or 2. */
  dup2(fd: Fd, target: number): Status;
  /** pipe2(O_CLOEXEC); flags may add O_NONBLOCK, which is set on both ends. */
  pipe(flags: number): readonly [readFd: Fd, writeFd: Fd] | Errno;
  setNonblock(fd: Fd, on: boolean): Status;
  /** Whether exec of a child by any other way keeps the fd: FD_CLOEXEC off or on. */
  setCloexec(fd: Fd, on: boolean): Status;
  /** FIONREAD: bytes ready to be read. */
  readable(fd: Fd): number | Errno;
  setPipeSize(fd: Fd, bytes: number): number | Errno;
  eventfd(): Fd | Errno;
  memfd(name: string): Fd | Errno;
  /** lseek SEEK_SET. */
  seek(fd: Fd, offset: number): number | Errno;
  ftruncate(fd: Fd, size: number): Status;
  fsync(fd: Fd): Status;
  /** flock(2) with LOCK_NB: "shared", "exclusive" or "unlock"; -EWOULDBLOCK when another has it. */
  flock(fd: Fd, how: "shared" | "exclusive" | "unlock"): Status;

  // ---- files ----
  /** openat(2) at the current folder, O_CLOEXEC added. */
  open(path: string, flags: number, mode: number): Fd | Errno;
  /** openat2(2); dirFd AT_FDCWD is -100; resolve: RESOLVE_* bits. For paths that come from outside. */
  openat2(dirFd: number, path: string, flags: number, mode: number, resolve: number): Fd | Errno;
  /** The whole of a small file as UTF-8 text, or -EFBIG past maxBytes. For procfs, cgroupfs and the bundle. */
  readText(path: string, maxBytes: number): string | Errno;
  /** Open with O_WRONLY | flags, one write, close. For procfs and cgroupfs flags is 0; O_CREAT|O_TRUNC for plain files. */
  writeText(path: string, text: string, flags: number, mode: number): Status;
  /** Names with d_type (DT_DIR 4, DT_REG 8, DT_LNK 10, DT_FIFO 1, DT_SOCK 12; 0 unknown), without . and .. */
  readdir(path: string): readonly (readonly [name: string, type: number])[] | Errno;
  stat(path: string): FileStat | Errno;
  lstat(path: string): FileStat | Errno;
  fstat(fd: Fd): FileStat | Errno;
  /** f_type of statfs(2). */
  fsType(path: string): number | Errno;
  /** f_flags of statfs(2): ST_RDONLY 1, ST_NOSUID 2, ST_NODEV 4, ST_NOEXEC 8, ST_NOATIME 1024, ... of the mount at path. */
  fsFlags(path: string): number | Errno;
  mkdir(path: string, mode: number): Status;
  mkfifo(path: string, mode: number): Status;
  rmdir(path: string): Status;
  unlink(path: string): Status;
  rename(from: string, to: string): Status;
  symlink(target: string, path: string): Status;
  readlink(path: string): string | Errno;
  chmod(path: string, mode: number): Status;
  chown(path: string, uid: number, gid: number): Status;
  fchown(fd: Fd, uid: number, gid: number): Status;
  /** access(2), mode R_OK 4, W_OK 2, X_OK 1, F_OK 0. */
  access(path: string, mode: number): Status;
  inotifyCreate(): Fd | Errno;
  /** The watch descriptor. Events are read with read(). */
  inotifyAdd(fd: Fd, path: string, mask: number): number | Errno;
  inotifyRemove(fd: Fd, watch: number): Status;

  // ---- socket ----
  /** A bound stream socket (not listening yet), non-blocking. -ENAMETOOLONG past 107 bytes. The file gets mode 0600. */
  unixBind(path: string): Fd | Errno;
  /** listen(2): SO_PEERCRED of clients names the process that called it last. */
  listen(fd: Fd, backlog: number): Status;
  /** -EAGAIN when nobody waits. Non-blocking. */
  accept(fd: Fd): Fd | Errno;
  /** A connected stream socket, non-blocking; -ECONNREFUSED when nobody listens, -EAGAIN when the backlog is full. */
  unixConnect(path: string): Fd | Errno;
  peerCredentials(fd: Fd): PeerCredentials | Errno;
  shutdown(fd: Fd, how: 0 | 1 | 2): Status;
  /** recvmsg: bytes and the fds that came with them (SCM_RIGHTS, CLOEXEC); the caller owns each fd. bytes 0 = the peer closed. */
  receiveFds(fd: Fd, into: Uint8Array, maxFds: number): { readonly bytes: number; readonly fds: readonly Fd[] } | Errno;
  sendFds(fd: Fd, bytes: Uint8Array, fds: readonly Fd[]): number | Errno;

  // ---- pump: bytes that never enter JavaScript ----
  /** Starts moving bytes. On failure both fds are closed too. fn is called once. */
  pumpStart(request: PumpRequest, fn: (end: PumpEnd) => void): PumpId | Errno;
  /** Goes on with a pump of the image before. -ENOENT: there is none, or it goes on already. */
  pumpResume(id: PumpId, fn: (end: PumpEnd) => void): Status;
  /** Calls fn once, as soon as the source is seen empty ("empty"), the target full ("full") or the pump over ("ended"). Replaces an earlier one. */
  pumpDrained(id: PumpId, fn: (why: "empty" | "full" | "ended") => void): Status;
  /** Ends the pump; its end arrives as "closed". -ENOENT when it is over. */
  pumpStop(id: PumpId): Status;
  pumpState(id: PumpId): PumpState | Errno;

  // ---- tty ----
  ttySize(fd: Fd): { readonly rows: number; readonly columns: number } | Errno;
  ttySetSize(fd: Fd, rows: number, columns: number): Status;
  isTty(fd: Fd): boolean;

  // ---- mount ----
  mount(source: string, target: string, type: string, flags: number, data: string): Status;
  umount(target: string, flags: number): Status;
  /** open_tree(OPEN_TREE_CLONE), mount_setattr(MOUNT_ATTR_IDMAP) with the user namespace, move_mount to the target. */
  mountIdmapped(source: string, target: string, userNamespaceFd: Fd, recursive: boolean): Status;
  /** A free loop device bound to the file. It lasts (autoclear) as long as the fd is open or the device is mounted. */
  loopAttach(file: string, readOnly: boolean, directIo: boolean): { readonly fd: Fd; readonly path: string } | Errno;

  // ---- time, random, text ----
  /** CLOCK_REALTIME, nanoseconds since 1970. */
  realtimeNs(): bigint;
  /** CLOCK_MONOTONIC, milliseconds with fraction. */
  monotonicMs(): number;
  /** At most 4096 (TypeError past that). */
  randomBytes(count: number): Uint8Array;
  encodeUtf8(text: string): Uint8Array;
  /** Malformed sequences become U+FFFD. */
  decodeUtf8(bytes: Uint8Array): string;
  /** utsname.release. */
  kernelRelease(): string;
}
