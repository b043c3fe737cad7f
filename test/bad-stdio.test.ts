// Streams that are odd, half there, or not there: every choice of the three, with and without a terminal; addresses that
// lead nowhere; plain files in the place of FIFOs.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Status } from "../src/api/process.ts";
import { DirectShim } from "./harness/direct-shim.ts";
import { onlyMoor } from "./harness/difference.ts";
import { FifoReader, FifoWriter, makeFifo } from "./harness/fifo.ts";
import { ociProcess } from "./harness/oci-spec.ts";
import { assertSentence, Code, faultOf, refused } from "./harness/refusal.ts";
import { useScene } from "./harness/scene.ts";

const scene = useScene({ withoutDaemon: true });
const names = ["stdin", "stdout", "stderr"] as const;
let made = 0;

function processSpec(args: readonly string[], terminal = false) {
  const value = new TextEncoder().encode(JSON.stringify(ociProcess(args, terminal)));
  return { typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Process", value };
}

async function running(): Promise<DirectShim> {
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  await shim.create();
  await shim.call("Start");
  return shim;
}

/** One choice of streams: FIFOs for those in the mask, nothing for the others, and a program that uses all three. */
class Choice {
  readonly what: string;
  readonly terminal: boolean;
  readonly paths: Record<(typeof names)[number], string> = { stdin: "", stdout: "", stderr: "" };
  readonly #out: FifoReader | undefined;
  readonly #err: FifoReader | undefined;
  readonly #in: FifoWriter | undefined;

  constructor(mask: number, terminal: boolean) {
    this.terminal = terminal;
    const given = names.filter((_, i) => (mask & (1 << i)) !== 0);
    this.what = `${given.join("+") || "none"}${terminal ? " with a terminal" : ""}`;
    for (const name of given) {
      const path = join(scene.fifoDir, `choice-${made++}-${name}`);
      makeFifo(path);
      this.paths[name] = path;
    }
    const { stdin, stdout, stderr } = this.paths;
    this.#in = stdin === "" ? undefined : new FifoWriter(stdin);
    this.#out = stdout === "" ? undefined : new FifoReader(stdout, true);
    // A terminal has one output: nobody writes to stderr's FIFO, and nobody ends it.
    this.#err = stderr === "" || terminal ? undefined : new FifoReader(stderr, true);
  }

  /** Without a stdin there is an end of file at once, but on a terminal, which has nobody at it. */
  get args(): readonly string[] {
    const read = this.#in === undefined && this.terminal ? "" : "read word;";
    return ["/bin/sh", "-c", `${read} echo out-$word; echo err-$word >&2; exit 5`];
  }

  /** Feeds it, and checks what came of it once it has ended. */
  async check(wait: () => Promise<{ exitStatus: number }>): Promise<void> {
    const word = this.#in === undefined ? "" : "fed";
    await this.#in?.open();
    await this.#in?.write(`${word}\n`);
    assert.equal((await wait()).exitStatus, 5, this.what);
    await this.#in?.close();
    const out = await this.#out?.allText();
    const err = await this.#err?.allText();
    if (out !== undefined && this.terminal)
      assert.match(out, new RegExp(`out-${word}\\r\\nerr-${word}\\r\\n$`), this.what);
    else if (out !== undefined) assert.equal(out, `out-${word}\n`, this.what);
    if (err !== undefined) assert.equal(err, `err-${word}\n`, this.what);
    this.#out?.close();
    this.#err?.close();
    for (const path of Object.values(this.paths)) if (path !== "") rmSync(path);
  }
}

for (const terminal of [false, true]) {
  const kind = terminal ? "with a terminal" : "without a terminal";
  test(`bad stdio: an exec with each choice of the three streams, ${kind}`, async () => {
    const shim = await running();
    for (let mask = 0; mask < 8; mask++) {
      const execId = `e${mask}`;
      const choice = new Choice(mask, terminal);
      await shim.call("Exec", { execId, terminal, ...choice.paths, spec: processSpec(choice.args, terminal) });
      await shim.call("Start", { execId });
      await choice.check(() => shim.call("Wait", { execId }));
      await shim.call("Delete", { execId });
    }
    await shim.end(scene);
  });

  test(`bad stdio: an init with each choice of the three streams, ${kind}`, async () => {
    for (let mask = 0; mask < 8; mask++) {
      const choice = new Choice(mask, terminal);
      const shim = await DirectShim.start(scene, choice.args, (spec) => {
        spec.process.terminal = terminal;
      });
      await shim.create({ terminal, ...choice.paths });
      await shim.call("Start");
      await choice.check(() => shim.call("Wait"));
      await shim.end(scene);
    }
  });
}

test("bad stdio: an address that leads nowhere is InvalidArgument with its name, for init and exec, and nothing is left", async (t) => {
  if (onlyMoor(t, "start-needs-no-reader")) return;
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  const folder = join(scene.dir, "a-folder");
  mkdirSync(folder);
  const file = join(scene.dir, "a-plain-file");
  writeFileSync(file, "");
  const long = `/${"x".repeat(300)}`;
  const cases: readonly (readonly [string, RegExp])[] = [
    [join(scene.dir, "no-such-fifo"), /no-such-fifo: ENOENT/],
    [join(file, "below"), /below: ENOTDIR/],
    [folder, /a-folder: EISDIR/],
    [long, /ENAMETOOLONG/],
    ["relative/path", /no absolute path/],
    ["pigeon://coop", /unknown scheme pigeon/],
    ["fifo://host/path?x=y", /fifo:/],
    ["binary:///no/such/logger", /no\/such\/logger/],
  ];
  const bundle = shim.bundle.dir;
  for (const [address, words] of cases) {
    const codes = address.startsWith("binary") ? [Code.UNKNOWN, Code.INVALID_ARGUMENT] : [Code.INVALID_ARGUMENT];
    await refused(shim, "Create", { bundle, stdout: address }, codes, words);
    await refused(shim, "State", {}, [Code.NOT_FOUND], shim.id);
  }
  await refused(shim, "Create", { bundle, stdin: "file:///tmp/x" }, [Code.INVALID_ARGUMENT], /stdin.*only output/);
  await shim.create();
  await shim.call("Start");
  for (const [i, [address, words]] of cases.entries()) {
    const execId = `e${i}`;
    await shim.call("Exec", {
      execId,
      stderr: address.startsWith("binary") ? "" : address,
      stdout: address,
      spec: processSpec(["/bin/true"]),
    });
    const codes = address.startsWith("binary") ? [Code.UNKNOWN, Code.INVALID_ARGUMENT] : [Code.INVALID_ARGUMENT];
    const fault = await faultOf(address, shim.call("Start", { execId }));
    assertSentence(address, fault, codes, words);
    assert.ok(fault.message.includes(execId) && fault.message.includes(shim.id), fault.message);
    assert.equal((await shim.call("State", { execId })).status, Status.CREATED);
    assert.equal((await shim.call("Delete", { execId })).exitStatus, 255);
  }
  assert.equal((await shim.call("State")).status, Status.RUNNING);
  await shim.end(scene);
});

test("bad stdio: plain files in the place of FIFOs are read, and appended to", async () => {
  const shim = await running();
  const [stdin, stdout, stderr] = names.map((name) => join(scene.dir, `plain-${name}`)) as [string, string, string];
  writeFileSync(stdin, "from a file\n");
  writeFileSync(stdout, "before\n");
  writeFileSync(stderr, "");
  const spec = processSpec(["/bin/sh", "-c", "cat; echo err >&2"]);
  await shim.call("Exec", { execId: "e", stdin, stdout, stderr, spec });
  await shim.call("Start", { execId: "e" });
  assert.equal((await shim.call("Wait", { execId: "e" })).exitStatus, 0);
  await shim.call("Delete", { execId: "e" });
  assert.equal(readFileSync(stdout, "utf8"), "before\nfrom a file\n");
  assert.equal(readFileSync(stderr, "utf8"), "err\n");
  await shim.end(scene);
});
