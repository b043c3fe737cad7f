// The cells of the compatibility matrix: under which daemon and with which OCI runtime which tests are run. A cell is a
// command. It counts as run when its output ends with the summary of Node's test runner (TAP), or with "N passed,
// N failed"; exit status 77 says that it cannot run on this machine, with the reason as its last line on standard error.

/** Files that show a container's life from end to end in a quarter of a minute. */
const lifeFiles = ["run", "exec", "exit-status", "kill", "group", "mixed-shims", "runtime-info"];

/** Daemons and runtimes by the names of scripts/fetch-daemons. */
const daemons = ["containerd-1.6", "containerd-1.7", "containerd-2.1"];
const runtimes = ["runc-1.1", "runc-1.3", "crun-1.28"];
/** Pairs that get every test that goes through the daemon: each daemon with the runtime of its time, and crun. */
const whole = [
  ["containerd-1.6", "runc-1.1"],
  ["containerd-1.7", "runc-1.1"],
  ["containerd-2.1", "runc-1.3"],
  ["containerd-2.1", "crun-1.28"],
];
/** These start their own daemons, or none: they have rows of their own. */
const apart = ["daemon-upgrade", "bootstrap", "docker-run", "docker-life"];
/** Docker with the containerd and the runtime of the same Debian suite. */
const dockers = [
  ["docker-20.10", "containerd-1.6", "runc-1.1"],
  ["docker-26", "containerd-1.7", "runc-1.1"],
  ["docker-28", "containerd-2.1", "runc-1.3"],
];
/** Says nothing of daemons: it compares speeds with those of the machine at rest. */
const elsewhere = ["bench-guard"];

const shown = (name) => name.replace("-", " ");

/** @returns a cell that runs these end-to-end test files. */
function endToEnd(daemon, runtime, suite, files) {
  return {
    daemon: shown(daemon),
    runtime: shown(runtime),
    suite,
    command: ["scripts/with-daemon", "scripts/run-tests", "files", ...files],
    environment: { MOOR_TEST_DAEMON: daemon, MOOR_TEST_OCI: runtime, MOOR_TEST_REPORTER: "tap" },
  };
}

/**
 * @param endToEndFiles the end-to-end test files: { name, alone }; `alone` are those that start shims by hand.
 * @param part "all", or "short": what continuous integration has the time for.
 */
export function cells(endToEndFiles, part) {
  if (part === "short") {
    const files = ["run", "mixed-shims", "runtime-info"];
    return ["containerd-1.7", "containerd-2.1"].map((daemon) => endToEnd(daemon, "runc-1.1", "short", files));
  }
  const isWhole = (daemon, runtime) => whole.some(([d, r]) => d === daemon && r === runtime);
  const others = endToEndFiles.filter(({ name }) => !apart.includes(name) && !elsewhere.includes(name));
  const names = (alone) => others.filter((file) => file.alone === alone).map(({ name }) => name);
  const pairs = daemons.flatMap((daemon) => runtimes.map((runtime) => [daemon, runtime]));
  // The first daemon is there for its programs, with which some of these files compare.
  const alone = (runtime) => endToEnd(daemons[0], runtime, "the shim alone", names(true));
  const upgrade = endToEnd("containerd-1.6", "runc-1.1", "upgrade and back", ["daemon-upgrade"]);
  const played = endToEnd("containerd-2.1", "runc-1.1", "start, container, pod", ["bootstrap"]);
  const docker = ([version, daemon, runtime]) => {
    const cell = endToEnd(daemon, runtime, "docker's commands", ["docker-run", "docker-life"]);
    const environment = { ...cell.environment, MOOR_TEST_DOCKER: version };
    return { ...cell, daemon: `${shown(version)} (${shown(daemon)})`, environment };
  };
  return [
    ...pairs.map(([daemon, runtime]) =>
      isWhole(daemon, runtime)
        ? endToEnd(daemon, runtime, "everything through it", names(false))
        : endToEnd(daemon, runtime, "lives of containers", lifeFiles),
    ),
    { ...upgrade, daemon: "containerd 1.6, 1.7, 2.1" },
    { ...played, daemon: "containerd 2.3 (its protocol, played)" },
    ...dockers.map(docker),
    ...runtimes.map((runtime) => ({ ...alone(runtime), daemon: "none" })),
  ];
}
