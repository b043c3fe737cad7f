// Where the time of the real binary goes: runs the build with the sampler (`make -C native shim-profile`) through start,
// exec and exit, and draws a flame graph of each into docs/performance. Below are the JavaScript functions, on top the
// function of the program itself, be it the engine's or the libc's.

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runOk } from "../test/harness/command.ts";
import { repositoryDir } from "../test/harness/repository.ts";
import { stockAndMoor } from "./cast.ts";
import { ExitGate } from "./exit-gate.ts";
import { addStack, drawFlame, type Flame, newFlame } from "./flame.ts";
import { Stage } from "./stage.ts";

const starts = 150;
const execs = 300;

const program = join(repositoryDir(), "build/containerd-shim-moor-v2-profile");
const results = join(repositoryDir(), "docs/performance");

interface Symbols {
  readonly addresses: readonly number[];
  readonly names: readonly string[];
}

const stage = new Stage();
const folder = join(stage.dir, "profile");
try {
  mkdirSync(folder);
  mkdirSync(results, { recursive: true });
  process.env["MOOR_PROFILE"] = folder;
  await stage.open({ ...stockAndMoor(), moor: program });
  const symbols = await readSymbols();
  await profileStart();
  draw("start", `start, until its answer: ${starts} of them`, symbols, isWholeStart);
  await profileExec();
  draw("exec", `Exec, Start, exit and Delete of ${execs} execs in one shim`, symbols);
  await profileExit();
  draw("exit", `${execs} exits of execs, from SIGCHLD on, and Wait`, symbols, isOfExit);
} finally {
  for (const left of await stage.close()) process.stderr.write(`profile: could not be removed: ${left}\n`);
}

/** The parent of the fork, and not the shim, which writes its stacks later. */
async function profileStart(): Promise<void> {
  const [moor] = stage.sides;
  if (moor === undefined) throw new Error("there is no Moor");
  for (let i = 0; i < starts; i++) {
    const shim = stage.shim(moor, ["/bin/true"]);
    await shim.start();
    await shim.shutdown();
    shim.removeBundle();
    rmSync(join(folder, `${shim.pid}.stacks`));
  }
}

async function profileExec(): Promise<void> {
  const [moor] = stage.sides;
  if (moor === undefined) throw new Error("there is no Moor");
  const shim = await stage.idleShim(moor);
  for (let i = 0; i < execs; i++) {
    const execId = `exec-${i}-${shim.id}`;
    await shim.addExec(execId, ["/bin/true"]);
    const exit = stage.exitEvent(execId);
    await shim.call("Start", { execId });
    await exit;
    await shim.call("Delete", { execId });
  }
  await shim.end();
}

/** As the bench's B7: each exec waits until Start has been answered. */
async function profileExit(): Promise<void> {
  const [moor] = stage.sides;
  if (moor === undefined) throw new Error("there is no Moor");
  const shim = await stage.idleShim(moor);
  const waiter = shim.openWaiter();
  for (let i = 0; i < execs; i++) {
    const execId = `exec-${i}-${shim.id}`;
    const gate = new ExitGate(stage, execId);
    await shim.addExec(execId, gate.args);
    const known = Promise.all([stage.exitEvent(execId), waiter.wait(shim.id, execId)]);
    await shim.call("Start", { execId });
    await gate.open();
    await known;
    await shim.call("Delete", { execId });
    gate.remove();
  }
  await shim.end();
}

function isWholeStart(): boolean {
  return true;
}

/** What runs from the signal on: the reaper's look at what has ended, and what follows from it. */
function isOfExit(stack: readonly string[]): boolean {
  return stack.some((name) => /^(childSignal|announceExecExit|tell|exited|announce)\b/.test(name));
}

function draw(
  name: string,
  title: string,
  symbols: Symbols,
  belongs: (stack: readonly string[]) => boolean = () => true,
): void {
  const root: Flame = newFlame("all");
  for (const file of readdirSync(folder)) {
    for (const line of readFileSync(join(folder, file), "utf8").trimEnd().split("\n")) {
      if (line === "") continue;
      const words = line.split(";");
      const address = Number.parseInt((words.pop() as string).slice(1), 16);
      const stack = words.filter((word) => word !== "[C]");
      if (belongs(stack)) addStack(root, [...stack, `${symbolAt(symbols, address)} [native]`]);
    }
    rmSync(join(folder, file));
  }
  const colour = (word: string): string =>
    word.endsWith("[native]") ? "#e6a15c" : word === "all" ? "#d8d4c8" : "#9cc27e";
  const path = join(results, `flame-${name}.svg`);
  writeFileSync(path, drawFlame(root, `${title} (${root.count} samples)`, colour));
  process.stdout.write(`${path}: ${root.count} samples\n`);
  const leaves = new Map<string, number>();
  const walk = (flame: Flame): void => {
    if (flame.callees.size === 0) leaves.set(flame.name, (leaves.get(flame.name) ?? 0) + flame.count);
    for (const callee of flame.callees.values()) walk(callee);
  };
  walk(root);
  const most = [...leaves].sort((a, b) => b[1] - a[1]).slice(0, 12);
  for (const [leaf, count] of most)
    process.stdout.write(`${((100 * count) / root.count).toFixed(1).padStart(6)} %  ${leaf}\n`);
}

async function readSymbols(): Promise<Symbols> {
  const { stdout } = await runOk(["nm", "-n", program]);
  const found = stdout.split("\n").flatMap((line) => {
    const [, address, name] = /^([0-9a-f]+) [tTwW] (.*)$/.exec(line) ?? [];
    return address === undefined || name === undefined ? [] : [{ address: Number.parseInt(address, 16), name }];
  });
  return { addresses: found.map(({ address }) => address), names: found.map(({ name }) => name) };
}

/** The name of the function that holds an address. */
function symbolAt({ addresses, names }: Symbols, address: number): string {
  let low = 0;
  let high = addresses.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((addresses[middle] as number) <= address) low = middle;
    else high = middle;
  }
  return (addresses[low] as number) <= address ? (names[low] as string) : "?";
}
