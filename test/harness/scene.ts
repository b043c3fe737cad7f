// The stage of one test file: a folder, a root file system, a private containerd, its clients, names that carry the
// scene's tag, and the proof at the end that nothing is left.

import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { ContainerdApi } from "./containerd-api.ts";
import { Ctr } from "./ctr.ts";
import { Daemon } from "./daemon.ts";
import { EventLog } from "./event-log.ts";
import { Gates, gatedShimPath } from "./gates.ts";
import { assertNothingLeft, clearAway } from "./leaks.ts";
import { shimPath, testsMoor } from "./repository.ts";
import { makeRootfs } from "./rootfs.ts";
import type { SceneNames } from "./scene-names.ts";

export interface SceneOptions {
  /** Added to containerd's environment. */
  readonly environment?: Readonly<Record<string, string>>;
  /** The shim has gates (harness/gates.ts), which `Scene.gates` stops. */
  readonly gated?: boolean;
  /** Events of shims wait until the test has subscribed, also when containerd comes back: see restart(). */
  readonly holdsEvents?: boolean;
  /** No containerd: the tests drive shims themselves. */
  readonly withoutDaemon?: boolean;
  /** What a test file needs before its first test, once containerd runs. */
  readonly prepare?: (scene: Scene) => Promise<void>;
}

export class Scene implements SceneNames {
  readonly tag = randomBytes(4).toString("hex");
  readonly namespace = `moor-e2e-${this.tag}`;
  /** Ids given out by newId: containers and groups. */
  readonly ids: string[] = [];
  readonly dir: string;
  readonly fifoDir: string;
  readonly rootfs: string;
  readonly daemon: Daemon;
  readonly ctr: Ctr;
  readonly events = new EventLog();
  readonly api: ContainerdApi;

  readonly #withoutDaemon: boolean;
  readonly #gates: Gates | undefined;
  readonly #holdsEvents: boolean;

  constructor(options: SceneOptions) {
    this.#withoutDaemon = options.withoutDaemon === true;
    this.dir = mkdtempSync(join(tmpdir(), `moor-e2e-${this.tag}-`));
    this.fifoDir = join(this.dir, "fifo");
    this.rootfs = join(this.dir, "rootfs");
    const gates = options.gated === true ? new Gates(join(this.dir, "gates")) : undefined;
    this.#gates = gates;
    const environment = { ...options.environment, ...gates?.environment };
    const shimFile = gates === undefined ? undefined : gatedShimPath();
    this.#holdsEvents = options.holdsEvents === true && testsMoor;
    this.daemon = new Daemon(this.dir, environment, this.#holdsEvents ? this.#makeHoldingShim() : shimFile);
    this.ctr = new Ctr(this.daemon.address, this.namespace, this.rootfs);
    this.api = new ContainerdApi(this.daemon.address, this.namespace);
  }

  /** Of the shims that the daemon starts. @throws Error when they have none. */
  get gates(): Gates {
    if (this.#gates === undefined) throw new Error("the scene's shims have no gates");
    return this.#gates;
  }

  readonly #undo: (() => void)[] = [];

  /** Has `undo` called when the scene closes, for what holds the test process open when a test failed. */
  onClose(undo: () => void): void {
    this.#undo.push(undo);
  }

  async open(): Promise<void> {
    mkdirSync(this.fifoDir);
    mkdirSync(join(this.dir, "tmp"));
    await makeRootfs(this.rootfs);
    if (!this.#withoutDaemon) await this.restart();
  }

  /** Starts containerd, for the first time or again, and subscribes; events that are held come once that is done. */
  async restart(): Promise<void> {
    rmSync(this.#eventsLink, { force: true });
    await this.daemon.start();
    this.events.subscribe(this.api, this.namespace);
    if (!this.#holdsEvents) return;
    await this.events.untilSubscribed(this.api);
    symlinkSync(`${this.daemon.address}.ttrpc`, this.#eventsLink);
  }

  get #eventsLink(): string {
    return join(this.dir, "events");
  }

  /** A script in front of the shim that has its events go by a link: containerd keeps none for those who subscribe later. */
  #makeHoldingShim(): string {
    const script = join(this.dir, "holding-shim");
    const lines = ["#!/bin/sh", `TTRPC_ADDRESS=${this.#eventsLink} exec ${shimPath()} "$@"`, ""];
    writeFileSync(script, lines.join("\n"), { mode: 0o755 });
    return script;
  }

  /** A new id for a container or a group; the leak check knows it. */
  newId(name: string): string {
    const id = `${name}-${this.ids.length}-${this.tag}`;
    this.ids.push(id);
    return id;
  }

  /** Ends the daemon and removes everything. @throws Error when a test left something behind. */
  async close(): Promise<void> {
    try {
      if (!this.daemon.isRunning && !this.#withoutDaemon) await this.daemon.start();
      await assertNothingLeft(this);
    } finally {
      for (const undo of this.#undo) undo();
      this.events.close();
      this.api.close();
      await this.daemon.stop();
      await clearAway(this);
      if (process.env["MOOR_TEST_KEEP"] === undefined) rmSync(this.dir, { recursive: true, force: true });
    }
  }
}

/**
 * The scene of a test file: opened before its first test, closed (with the leak check) after its last.
 * The returned object is usable inside tests and hooks only.
 */
export function useScene(options: SceneOptions = {}): Scene {
  if (process.getuid?.() !== 0) throw new Error("the end-to-end tests run containers and so need root");
  const scene = new Scene(options);
  before(async () => {
    await scene.open();
    await options.prepare?.(scene);
  });
  after(() => scene.close());
  return scene;
}
