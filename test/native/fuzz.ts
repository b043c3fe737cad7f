// The fuzz targets of test/fuzz inside the host: the engine and the C code under them take the same inputs as Node. A few
// thousand inputs as a native test; scripts/fuzz asks for more, and compares the digests with Node's.

// seconds: 120

import sys from "sys";
import { Failure, runPlan, type Surroundings } from "../fuzz/run.ts";
import { allTargets } from "../fuzz/targets.ts";
import { check, finish, good, leaveOut, ok, print } from "./checks.ts";

function setting(name: string, otherwise: string): string {
  const entry = sys.environ.find((each) => each.startsWith(`${name}=`));
  return entry?.slice(name.length + 1) ?? otherwise;
}

const around: Surroundings = {
  nowMs: () => sys.monotonicMs(),
  // The host itself ends a turn that takes a second of the processor's time (built for tests; ten in the shim): this is
  // for what sleeps.
  mostMs: 60_000,
  encodeUtf8: (text) => sys.encodeUtf8(text),
  nextTurn: () => new Promise((resolve) => void sys.timerStart(0, resolve)),
};

function readBytes(path: string): Uint8Array {
  const fd = good(sys.open(path, 0, 0), `open ${path}`);
  const bytes = new Uint8Array(good(sys.fstat(fd), path).size);
  good(sys.read(fd, bytes, 0, bytes.length), `read ${path}`);
  good(sys.close(fd), "close");
  return bytes;
}

function corpusOf(name: string): Uint8Array[] {
  const folder = `${setting("MOOR_FUZZ_CORPUS", "test/fuzz/corpus")}/${name}`;
  const names = good(sys.readdir(folder), folder).map(([file]) => file);
  return names.sort().map((file) => readBytes(`${folder}/${file}`));
}

function keep(name: string, input: Uint8Array): void {
  const folder = setting("MOOR_FUZZ_KEEP", "");
  if (folder === "") return;
  const fd = good(sys.open(`${folder}/${name}-${input.length}`, 0o1101, 0o644), folder);
  sys.write(fd, input, 0, input.length);
  sys.close(fd);
}

/** Bytes of the engine's heap that are in use when all garbage is gone. */
function usedBytes(): number {
  sys.collectGarbage();
  return sys.heap().usedBytes;
}

/** What may come to be in use in any number of inputs: tables that have grown once, code that was loaded late. */
const mostGrowthBytes = 256 * 1024;

const seed = Number(setting("MOOR_FUZZ_SEED", "1"));
const first = Number(setting("MOOR_FUZZ_FIRST", "0"));
const chosen = allTargets().filter(({ name }) => [name, ""].includes(setting("MOOR_FUZZ_TARGET", "")));
const count = Math.ceil(Number(setting("MOOR_FUZZ_RUNS", "2500")) / chosen.length);

for (const target of chosen) {
  await check(`fuzz: ${target.name}`, async () => {
    const corpus = corpusOf(target.name);
    // Once through some inputs first: what is made once is made then.
    const warm = { target, corpus, seed: seed + 1, first: 0, count: Math.min(count, 300) };
    await runPlan(warm, around);
    const before = usedBytes();
    try {
      const { inputs, taken, slowestMs, digest } = await runPlan({ target, corpus, seed, first, count }, around);
      const grown = usedBytes() - before;
      print(
        `ok - fuzz ${target.name}: ${inputs} inputs, ${taken} taken, ${grown} bytes grown, slowest ${Math.round(slowestMs)} ms, digest ${digest}`,
      );
      ok(grown < mostGrowthBytes, `${grown} bytes more are in use after ${inputs} inputs`);
    } catch (thrown) {
      if (thrown instanceof Failure) keep(target.name, thrown.input);
      throw thrown;
    }
  });
}
leaveOut(`all but ${count} inputs a target`);
finish();
