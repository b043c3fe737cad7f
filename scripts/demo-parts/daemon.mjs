// A containerd of the demonstration's own: root, state, sockets and log in one folder, Moor first in its PATH, ended by
// pid.

import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { assert, until } from "./story.mjs";

const readySeconds = 20;

// What a container without an image, a network and Kubernetes does not need, and what would touch folders outside.
const withoutPlugins = [
  "io.containerd.grpc.v1.cri",
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
];

export class Containerd {
  #dir;
  #path;
  #child;
  #ended;

  /** @param shimFolder comes first in the daemon's PATH. */
  constructor(dir, shimFolder) {
    this.#dir = dir;
    this.#path = `${shimFolder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
    this.address = join(dir, "containerd.sock");
    mkdirSync(join(dir, "tmp"));
    const config = [
      "version = 2",
      `root = "${join(dir, "root")}"`,
      `state = "${join(dir, "state")}"`,
      `disabled_plugins = ${JSON.stringify(withoutPlugins)}`,
      "[grpc]",
      `address = "${this.address}"`,
      "[ttrpc]",
      `address = "${this.address}.ttrpc"`,
    ];
    writeFileSync(join(dir, "config.toml"), `${config.join("\n")}\n`);
  }

  get pid() {
    return this.#child?.pid;
  }

  /** Starts it and waits until it answers. */
  async start() {
    const log = openSync(join(this.#dir, "containerd.log"), "a");
    const env = { PATH: this.#path, TMPDIR: join(this.#dir, "tmp") };
    const child = spawn("containerd", ["--config", join(this.#dir, "config.toml")], {
      cwd: this.#dir,
      env,
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      for (const event of ["exit", "error"]) {
        child.on(event, () => {
          if (this.#child === child) this.#child = undefined;
          resolve(true);
        });
      }
    });
    await until("containerd to answer", readySeconds, () => {
      assert(this.#child === child, `containerd ended at once:\n${readFileSync(join(this.#dir, "containerd.log"))}`);
      return this.#answers();
    });
  }

  #answers() {
    return new Promise((resolve) => {
      const socket = connect(this.address);
      socket.on("connect", () => {
        socket.destroy();
        resolve(true);
      });
      socket.on("error", () => resolve(false));
    });
  }

  /** Sends it a signal and waits for its end. */
  async end(signal) {
    this.#child?.kill(signal);
    await this.#ended;
  }

  /** At once, for the way out of a story that has failed. */
  kill() {
    this.#child?.kill("SIGKILL");
  }
}
