// The command line of runc, which crun and others follow: pure functions from what is wanted to arguments. Only flags
// that both runc and crun know are used, and the optional ones only where they are asked for. All paths are absolute:
// crun changes to the bundle before it opens its log.

/** Flags before the command. */
export interface GlobalArguments {
  readonly root: string;
  /** "" lets the runtime log to its standard error. */
  readonly logPath: string;
  readonly systemdCgroup: boolean;
  /** "" leaves it to the runtime; crun knows no such flag. */
  readonly criuPath: string;
  readonly debug: boolean;
}

export interface CreateArguments {
  readonly pidFile: string;
  readonly consoleSocket?: string | undefined;
  readonly noPivot?: boolean;
  readonly noNewKeyring?: boolean;
  /** How many fds after stdio and the listening sockets the container gets. */
  readonly preserveFds?: number;
}

export interface ExecArguments {
  readonly pidFile: string;
  readonly consoleSocket?: string | undefined;
  readonly preserveFds?: number;
}

/** What checkpoint and restore share. */
export interface CriuArguments {
  readonly imagePath: string;
  /** "" leaves it to the runtime. */
  readonly workPath?: string;
  readonly parentPath?: string;
  readonly openTcp?: boolean;
  readonly externalUnixSockets?: boolean;
  readonly terminal?: boolean;
  readonly fileLocks?: boolean;
  readonly emptyNamespaces?: readonly string[];
  readonly cgroupsMode?: string;
}

export interface CheckpointArguments extends CriuArguments {
  readonly leaveRunning: boolean;
}

export interface RestoreArguments extends CriuArguments {
  readonly pidFile: string;
  readonly consoleSocket?: string | undefined;
  readonly noPivot?: boolean;
}

export function globalArguments(wanted: GlobalArguments): string[] {
  return [
    "--root",
    wanted.root,
    ...option("--log", wanted.logPath),
    "--log-format",
    "json",
    ...flag("--debug", wanted.debug),
    ...option("--criu", wanted.criuPath),
    ...flag("--systemd-cgroup", wanted.systemdCgroup),
  ];
}

export function createArguments(id: string, bundle: string, wanted: CreateArguments): string[] {
  return [
    "create",
    "--bundle",
    bundle,
    "--pid-file",
    wanted.pidFile,
    ...option("--console-socket", wanted.consoleSocket),
    ...flag("--no-pivot", wanted.noPivot),
    ...flag("--no-new-keyring", wanted.noNewKeyring),
    ...count("--preserve-fds", wanted.preserveFds),
    id,
  ];
}

export function execArguments(id: string, processPath: string, wanted: ExecArguments): string[] {
  return [
    "exec",
    "--process",
    processPath,
    ...option("--console-socket", wanted.consoleSocket),
    "--detach",
    "--pid-file",
    wanted.pidFile,
    ...count("--preserve-fds", wanted.preserveFds),
    id,
  ];
}

export function killArguments(id: string, signal: number, all: boolean): string[] {
  return ["kill", ...flag("--all", all), id, String(signal)];
}

export function deleteArguments(id: string, force: boolean): string[] {
  return ["delete", ...flag("--force", force), id];
}

export function updateArguments(id: string, resourcesPath: string): string[] {
  return ["update", "--resources", resourcesPath, id];
}

export function checkpointArguments(id: string, wanted: CheckpointArguments): string[] {
  return ["checkpoint", ...criuArguments(wanted), ...flag("--leave-running", wanted.leaveRunning), id];
}

/**
 * Without --no-subreaper, which the stock shim passes but crun does not know: what a detached restore leaves behind
 * comes to the shim either way, as the nearest subreaper once the runtime has ended.
 */
export function restoreArguments(id: string, bundle: string, wanted: RestoreArguments): string[] {
  return [
    "restore",
    ...criuArguments(wanted),
    "--detach",
    "--pid-file",
    wanted.pidFile,
    ...option("--console-socket", wanted.consoleSocket),
    ...flag("--no-pivot", wanted.noPivot),
    "--bundle",
    bundle,
    id,
  ];
}

function criuArguments(wanted: CriuArguments): string[] {
  return [
    "--image-path",
    wanted.imagePath,
    ...option("--work-path", wanted.workPath),
    ...option("--parent-path", wanted.parentPath),
    ...flag("--tcp-established", wanted.openTcp),
    ...flag("--ext-unix-sk", wanted.externalUnixSockets),
    ...flag("--shell-job", wanted.terminal),
    ...flag("--file-locks", wanted.fileLocks),
    ...option("--manage-cgroups-mode", wanted.cgroupsMode),
    ...(wanted.emptyNamespaces ?? []).flatMap((namespace) => ["--empty-ns", namespace]),
  ];
}

function flag(name: string, on: boolean | undefined): string[] {
  return on === true ? [name] : [];
}

function option(name: string, value: string | undefined): string[] {
  return value === undefined || value === "" ? [] : [name, value];
}

function count(name: string, value: number | undefined): string[] {
  return value === undefined || value === 0 ? [] : [name, String(value)];
}
