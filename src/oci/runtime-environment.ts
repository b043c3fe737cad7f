// The environment a runtime is called with: the shim's own, without what would change the runtime's behaviour by
// accident, plus what is passed on purpose.

const accidental = [
  // containerd's unit is Type=notify: with this, `runc start` waits for a READY=1 that never comes.
  "NOTIFY_SOCKET",
  // Sockets that systemd passed to the daemon, not to the container.
  "LISTEN_FDS",
  "LISTEN_PID",
  "LISTEN_FDNAMES",
];

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The entries of `environ` (NAME=value) that the runtime may see, `added` after them; there is always a PATH. */
export function runtimeEnvironment(environ: readonly string[], added: readonly string[] = []): string[] {
  const kept = environ.filter((entry) => !accidental.some((name) => entry.startsWith(`${name}=`)));
  if (!kept.some((entry) => entry.startsWith("PATH="))) kept.push(defaultPath);
  return [...kept, ...added];
}
