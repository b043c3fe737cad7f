// Targets that take files: those of the bundle, those a runtime writes, and those of the kernel (which is believed, but
// whose files differ by version and may end anywhere).

import { makeExec } from "../../src/shim/execs.ts";
import { findCgroups } from "../../src/shim/remains.ts";
import { formatRecords, parseRecords } from "../../src/shim/exit-records.ts";
import { DeleteResponse } from "../../src/api/task.ts";
import { parseRfc3339, rfc3339, wireTime } from "../../src/shim/time.ts";
import { groupOf, parseSpec, rootfsOf, sharesPidNamespace } from "../../src/oci/bundle.ts";
import { readOptions } from "../../src/oci/options-file.ts";
import { readPidFile } from "../../src/oci/pid-file.ts";
import { parseAnswer, parseState, parseVersion } from "../../src/oci/runtime-answer.ts";
import { RuntimeError } from "../../src/oci/runtime-error.ts";
import { causeFromStderr, readLastError } from "../../src/oci/runtime-log.ts";
import { readMembership } from "../../src/cgroup/membership.ts";
import { readMetricsV1 } from "../../src/cgroup/metrics-v1.ts";
import { readMetricsV2 } from "../../src/cgroup/metrics-v2.ts";
import { readMountInfo } from "../../src/sys/mount-info.ts";
import type { Pid } from "../../src/sys/sys.d.ts";
import { randomJson } from "./json.ts";
import { decodeText, memorySys } from "./memory-sys.ts";
import { shown } from "./message-targets.ts";
import { demand, type Target } from "./target.ts";

// Not comparable are those where it matters that the engine's JSON.parse takes escapes that are none ("\\e") for what
// follows the backslash, and lists nested less deeply than Node's does.

const jsonWords = ["{", "}", "[", "]", ":", ",", '"', "null", "true", "-1", "1e999", "\\u0000", "\\ud800", "__proto__"];

const specKeys = "process root path annotations linux namespaces type pid cgroupsPath args terminal".split(" ");
const groupNames = ["io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"];

const spec: Target = {
  name: "spec",
  words: [...jsonWords, ...specKeys, ...groupNames],
  make: (random) => randomJson(random, [...specKeys, ...groupNames]),
  run: (input) => {
    const parsed = parseSpec(decodeText(input), "/b/config.json");
    const rootfs = rootfsOf(parsed, "/b");
    demand(rootfs.startsWith("/"), "a root file system whose path is not absolute");
    return shown([groupOf(parsed), sharesPidNamespace(parsed), rootfs]);
  },
  comparable: false,
};

const execSpec: Target = {
  name: "exec-spec",
  words: [...jsonWords, ...specKeys],
  make: (random) => randomJson(random, specKeys),
  run: (input) => {
    const place = { context: { sys: memorySys(() => undefined) }, containerId: "c1" } as Parameters<typeof makeExec>[0];
    const request = { execId: "e1", stdin: "", stdout: "", stderr: "", terminal: true, spec: input };
    const { specText } = makeExec(place, request);
    demand((JSON.parse(specText) as { terminal?: unknown }).terminal === true, "an exec whose terminal got lost");
    return "taken";
  },
  comparable: false,
};

const optionKeys = "binary_name root systemd_cgroup no_pivot_root no_new_keyring shim_cgroup io_uid io_gid".split(" ");

const optionsFile: Target = {
  name: "options-file",
  words: [...jsonWords, ...optionKeys],
  make: (random) => randomJson(random, optionKeys),
  run: (input) => {
    const half = input.length >> 1;
    const files = new Map([["/b/options.json", input]]);
    if ((input[half] ?? 0) % 3 === 0) files.set("/b/runtime", input.subarray(half));
    const options = readOptions(
      memorySys((path) => files.get(path)),
      "/b",
    );
    demand(typeof options.binaryName === "string" && typeof options.ioUid === "number", "options of other types");
    return shown(options);
  },
  comparable: false,
};

const recordKeys = ["version", "exits", "pid", "status", "exitedAt", "c1", "2026-01-02T03:04:05.000000006Z"];

const exitRecords: Target = {
  name: "exit-records",
  words: [...jsonWords, ...recordKeys, "9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z"],
  make: (random) => randomJson(random, recordKeys),
  run: (input) => {
    const records = parseRecords(decodeText(input));
    for (const { pid, status, atNs } of records.values()) {
      // As `delete` answers.
      DeleteResponse.encode({ pid, exitStatus: status, exitedAt: wireTime(atNs) }).finish();
      demand(parseRfc3339(rfc3339(atNs)) === atNs, `the time ${atNs} does not come back`);
    }
    demand(shown([...parseRecords(formatRecords(records))]) === shown([...records]), "records that do not come back");
    return shown([...records]);
  },
  comparable: false,
};

const logWords = ['level=error msg="', "level=fatal", '{"level":"error","msg":"x"}', "\n", "\\\\", '\\"', "time="];

const runtimeLog: Target = {
  name: "runtime-log",
  words: [...jsonWords, ...logWords],
  make: (random) => randomJson(random, ["level", "msg", "error", "fatal", "time"]),
  run: (input) => {
    const text = decodeText(input);
    const sys = memorySys(() => input);
    const cause = causeFromStderr(text) ?? readLastError(sys, "/b/log.json") ?? "it said nothing";
    const error = new RuntimeError("create", cause);
    demand(error.message.length <= 9 * 1024, `an error of ${error.message.length} characters`);
    return shown([cause, error.failure]);
  },
  comparable: false,
};

const runtimeAnswer: Target = {
  name: "runtime-answer",
  words: [...jsonWords, "pid", "status", "bundle", "annotations", "runc version 1.2.3\n", "commit: x\n", "spec: 1\n"],
  make: (random) => randomJson(random, ["pid", "status", "bundle", "annotations", "running", "id"]),
  run: (input) => {
    const text = decodeText(input);
    const version = shown(parseVersion(text));
    parseAnswer("features", text);
    return version + shown(parseState("c1", text));
  },
  comparable: false,
};

const pidFile: Target = {
  name: "pid-file",
  words: ["1", "0", "4194304", "99999999999", "-", " ", "\n", "0x", "e3", "٣"],
  run: (input) => {
    const pid = readPidFile(
      memorySys(() => input),
      "/b/init.pid",
    );
    demand(Number.isInteger(pid) && pid > 0 && pid <= 0x7fff_ffff, `the pid ${pid}`);
    return String(pid);
  },
  comparable: true,
};

const remains: Target = {
  name: "remains",
  words: [...jsonWords, "cgroup_paths", "cgroup-path", "cgroupsPath", "linux", "/sys/fs/cgroup/", "..", "/x"],
  make: (random) => randomJson(random, ["cgroup_paths", "cgroup-path", "cgroupsPath", "linux", "memory"]),
  run: (input) => {
    const mounts = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
    const sys = memorySys((path) => (path === "/proc/self/mountinfo" ? new TextEncoder().encode(mounts) : input));
    const found = findCgroups(sys, "/run/runc", "c1", "/b");
    for (const path of found) {
      const isInside = path.startsWith("/sys/fs/cgroup/") && !path.split("/").includes("..");
      demand(isInside && path.length > "/sys/fs/cgroup/".length, `the cgroup ${path}`);
    }
    return shown(found);
  },
  comparable: false,
};

const proc: Target = {
  name: "proc",
  words: [" - ", "cgroup", "cgroup2", "\\040", "\\777", "0::/", "1:memory:/x\n", "\n", "/..", "rw,memory", "\x00"],
  run: (input) => {
    // Three files in one input, divided by zero bytes.
    const [mounts = "", theirs = "", own = ""] = decodeText(input).split("\0");
    const files = new Map([
      ["/proc/self/mountinfo", mounts],
      ["/proc/7/cgroup", theirs],
      ["/proc/self/cgroup", own],
    ]);
    const sys = memorySys((path) => {
      const text = files.get(path);
      return text === undefined ? undefined : new TextEncoder().encode(text);
    });
    return shown(readMountInfo(sys)) + shown(readMembership(sys, 7 as Pid, "/proc"));
  },
  comparable: true,
};

const cgroupFiles: Target = {
  name: "cgroup-files",
  words: [
    "max",
    "some avg10=0.00 total=1\n",
    "8:0 rbytes=1 wios=2\n",
    "hca_handle=2",
    "cache 1\n",
    "18446744073709551616",
  ],
  run: (input) => {
    // Each of some forty files is this input.
    const text = input.subarray(0, 2048);
    const sys = memorySys(
      (path) => (path.endsWith(".max") ? text.subarray(text.length >> 1) : text),
      () => ["hugepages-2048kB", "hugepages-1048576kB"],
    );
    const controllers = ["cpu", "cpuacct", "memory", "pids", "blkio", "hugetlb", "rdma"];
    const folders = Object.fromEntries(controllers.map((name) => [name, `/cg/${name}`]));
    const first = readMetricsV1(sys, { folders, proc: "/proc", hugePages: "/hp" });
    return shown([first, readMetricsV2(sys, "/cg", "/hp")]);
  },
  comparable: true,
};

export const fileTargets: readonly Target[] = [
  spec,
  execSpec,
  optionsFile,
  exitRecords,
  runtimeLog,
  runtimeAnswer,
  pidFile,
  remains,
  proc,
  cgroupFiles,
];
