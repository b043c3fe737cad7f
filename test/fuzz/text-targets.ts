// Targets that take text of a request, a command line or a daemon's configuration.

import { planStdio } from "../../src/io/plan.ts";
import { fuseHelperOf } from "../../src/mount/fuse-helper.ts";
import { mapText } from "../../src/mount/id-maps.ts";
import { commonFolder, lowerDirs, relativeTo, withLowerDirs } from "../../src/mount/layers.ts";
import { parseMountOptions } from "../../src/mount/options.ts";
import { parseTomlOptions } from "../../src/oci/options-toml.ts";
import { pathOfAddress, socketPath } from "../../src/shim/address.ts";
import { parseArguments } from "../../src/shim/arguments.ts";
import { checkIdentifier, shown as shownId } from "../../src/shim/identifier.ts";
import { passedSockets } from "../../src/shim/start.ts";
import { parseRfc3339, rfc3339 } from "../../src/shim/time.ts";
import { decodeText, memorySys } from "./memory-sys.ts";
import { shown } from "./message-targets.ts";
import { demand, type Target } from "./target.ts";

const toml: Target = {
  name: "toml",
  words: [
    "BinaryName",
    "binary_name",
    "IoUid",
    "SystemdCgroup",
    " = ",
    '"',
    "'''",
    '"""',
    "[",
    "[[",
    "]",
    "{",
    "}",
    "#",
  ].concat([
    "true",
    "inf",
    "-nan",
    "0x1f",
    "1979-05-27T07:32:00Z",
    "\\u00e9",
    "\\U0010ffff",
    "\r\n",
    ".",
    "__proto__",
    "a.b",
  ]),
  run: (input) => shown(parseTomlOptions(decodeText(input), "config_body")),
  comparable: true,
};

const stdio: Target = {
  name: "stdio",
  words: [
    "fifo://",
    "file:///",
    "binary://",
    "binary-v2:///",
    "%00",
    "%ff",
    "%c3%a9",
    "?",
    "&",
    "=",
    "+",
    "#",
    "\n",
    "//h/",
  ],
  run: (input) => {
    const [stdin = "", stdout = "", stderr = "", terminal = ""] = decodeText(input).split("\n");
    const plan = planStdio({ stdin, stdout, stderr, terminal: terminal !== "" });
    for (const stream of [plan.stdin, plan.stdout, plan.stderr]) {
      const path = stream.kind === "none" ? "/" : stream.kind === "logger" ? stream.file : stream.path;
      demand(path.startsWith("/"), `the path ${path}`);
      demand(!shown(stream).includes("\\u0000"), "a zero byte in a path or argument");
    }
    return shown(plan);
  },
  comparable: true,
};

const commandLine: Target = {
  name: "arguments",
  words: [
    "-namespace",
    "--id=",
    "-address",
    "-debug",
    "-debug=false",
    "start",
    "delete",
    "-info",
    "-v",
    "--",
    "-",
    "=",
    "\n",
  ],
  run: (input) => {
    const lines = decodeText(input).split("\n");
    const parsed = parseArguments(lines);
    return shown(parsed) + shown(passedSockets(lines));
  },
  comparable: true,
};

const names: Target = {
  name: "names",
  words: ["/", "..", ".", "-", "_", "unix://", "\n", "\0", "a", "é", "k8s.io"],
  run: (input) => {
    const [id = "", address = "", namespace = ""] = decodeText(input).split("\n");
    const path = pathOfAddress(address);
    demand(path === undefined || path.startsWith("/"), `the path ${path}`);
    const socket = socketPath(
      memorySys(() => undefined),
      "/run/containerd/s",
      address,
      namespace,
      id,
    );
    demand(/^\/run\/containerd\/s\/[0-9a-f]{64}$/.test(socket), `the socket ${socket}`);
    demand(shownId(id).length < 600 && !shownId(id).includes("\n"), "a name that is shown at length");
    const time = parseRfc3339(id);
    if (time !== undefined) demand(parseRfc3339(rfc3339(time)) === time, "a time that does not come back");
    checkIdentifier("container id", id);
    demand(/^[A-Za-z0-9._-]{1,76}$/.test(id), `the id ${JSON.stringify(id)} is taken`);
    return shown([path, socket, id]);
  },
  comparable: true,
};

const mountOptions: Target = {
  name: "mount-options",
  words: [
    "ro",
    "rbind",
    "uidmap=",
    "gidmap=",
    "0:1000:1",
    "loop",
    "direct-io",
    "lowerdir=",
    ":",
    "\\:",
    "/",
    "\n",
    ",",
  ].concat(["X-containerd.", "constructor", "fuse3.sshfs"]),
  run: (input) => {
    const options = decodeText(input).split("\n");
    const parsed = parseMountOptions(options);
    const dirs = lowerDirs(parsed.data);
    const folder = commonFolder(dirs);
    const data = withLowerDirs(parsed.data, folder === undefined ? dirs : relativeTo(folder, dirs));
    const maps = parsed.idMaps === undefined ? "" : mapText("uidmap", parsed.idMaps.uid);
    return shown([parsed, data, folder, maps, options.map(fuseHelperOf)]);
  },
  comparable: true,
};

export const textTargets: readonly Target[] = [toml, stdio, commandLine, names, mountOptions];
