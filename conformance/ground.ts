// Where one case runs: a folder, names with a tag of its own, and the daemon's event service. Everything that a case makes
// carries the tag, so that what a shim left behind is found and laid to that case, and removed after it.

import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { EventSink } from "../test/harness/event-sink.ts";
import { clearAway, findLeaks, type LeakScope } from "../test/harness/leaks.ts";
import { type ActionOptions, type ShimStage, TestBundle } from "../test/harness/direct-shim.ts";
import type { OciSpec } from "../test/harness/oci-spec.ts";
import { until } from "../test/harness/until.ts";
import { demand, shorten } from "./case.ts";
import { readStartAnswer, type StartAnswer } from "./start-answer.ts";
import type { Subject } from "./subject.ts";
import { runAction, Shim } from "./shim.ts";

/** How long a shim may take to clean up after the last call. */
const settleMs = 3_000;

export type SpecChange = (spec: OciSpec) => void;

export class Ground implements ShimStage, LeakScope {
  readonly subject: Subject;
  readonly tag = randomBytes(4).toString("hex");
  readonly namespace = `conformance-${this.tag}`;
  readonly ids: string[] = [];
  readonly dir = mkdtempSync(join(tmpdir(), `conf-${this.tag}-`));
  readonly fifoDir = join(this.dir, "fifo");
  /** The containers' root file system; shared, not to be written to. */
  readonly rootfs: string;
  readonly shimFile: string;
  readonly daemon: LeakScope["daemon"];
  /** What stands at TTRPC_ADDRESS. */
  readonly sink: EventSink;
  readonly #undo: (() => void)[] = [];
  readonly #shims: Shim[] = [];

  constructor(subject: Subject, rootfs: string) {
    this.subject = subject;
    this.rootfs = rootfs;
    this.shimFile = subject.file;
    const address = join(this.dir, "c.sock");
    const [stateDir, rootDir] = [join(this.dir, "state"), join(this.dir, "root")];
    this.daemon = { isRunning: false, pid: 0, address, stateDir, rootDir };
    this.sink = new EventSink(`${address}.ttrpc`);
  }

  async open(): Promise<void> {
    for (const name of ["fifo", "tmp", "bundles"]) mkdirSync(join(this.dir, name));
    await this.sink.open();
  }

  newId(name: string): string {
    const id = `${name}-${this.ids.length}-${this.tag}`;
    this.ids.push(id);
    return id;
  }

  onClose(undo: () => void): void {
    this.#undo.push(undo);
  }

  bundle(args: readonly string[], change?: SpecChange): TestBundle {
    return new TestBundle(this, args, change);
  }

  /** Runs `start` in the bundle and reads its answer. */
  async startAnswer(bundle: TestBundle, options: ActionOptions = {}): Promise<StartAnswer> {
    const { status, stdout, stderr, stdoutBytes } = await runAction(this, bundle, ["start"], options);
    demand(status === 0, () => `start exits ${status}: "${shorten(stderr || stdout)}"`);
    return readStartAnswer(stdoutBytes);
  }

  /** A shim in a bundle, connected; nothing is created in it. */
  async startIn(bundle: TestBundle, options: ActionOptions = {}): Promise<Shim> {
    const shim = await Shim.connect(this, bundle, await this.startAnswer(bundle, options));
    this.#shims.push(shim);
    return shim;
  }

  /** A shim for a container that shall run `args`; nothing is created in it. */
  start(args: readonly string[], change?: SpecChange): Promise<Shim> {
    return this.startIn(this.bundle(args, change));
  }

  /** A shim with a running container without streams. */
  async run(args: readonly string[], change?: SpecChange): Promise<Shim> {
    const shim = await this.start(args, change);
    await shim.create();
    await shim.call("Start");
    return shim;
  }

  /** The topics of the events about a container that have come, without "/tasks/". */
  topicsOf(id: string): string[] {
    return this.sink.events
      .filter((event) => event.containerId === id)
      .map((event) => event.topic.replace("/tasks/", ""));
  }

  /** Waits for an event with this topic (without "/tasks/") of this process. */
  async untilEvent(containerId: string, topic: string, processId?: string, deadlineMs = 8_000) {
    return await until(
      `the event /tasks/${topic}${processId === undefined ? "" : ` of ${processId}`}`,
      deadlineMs,
      () =>
        this.sink.events.find(
          (event) =>
            event.containerId === containerId &&
            event.topic === `/tasks/${topic}` &&
            (processId === undefined || event.processId === processId),
        ),
      () => `there came ${this.topicsOf(containerId).join(", ") || "none"}`,
    );
  }

  /** Puts containers into one pod as CRI does: each is annotated with the id of the first. */
  pod(): SpecChange {
    let sandbox: string | undefined;
    return (spec) => {
      sandbox ??= basename(spec.linux.cgroupsPath);
      spec.annotations["io.kubernetes.cri.sandbox-id"] = sandbox;
    };
  }

  /** What is there of the case's containers and shims once everything had time to go. */
  async leftovers(): Promise<string[]> {
    return await until("everything to be gone", settleMs, () => findLeaks(this).length === 0).then(
      () => [],
      () => findLeaks(this),
    );
  }

  /** @throws Shortfall when something is left. */
  async demandNothingLeft(when: string): Promise<void> {
    const left = await this.leftovers();
    demand(left.length === 0, () => `${when} there is left: ${shorten(left.join("; "))}`);
  }

  /** Ends every shim in good order, as a daemon does. */
  async end(): Promise<void> {
    for (const shim of [...this.#shims].reverse()) await shim.end();
  }

  /** Ends by force and removes whatever is there. */
  async close(): Promise<void> {
    for (const undo of this.#undo) undo();
    for (const shim of this.#shims) shim.forget();
    await this.sink.close();
    await clearAway(this);
    rmSync(this.dir, { recursive: true, force: true });
  }
}
