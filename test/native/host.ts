// The host itself: arguments, environment, heap, chunks loaded on demand, limits that throw.

import sys from "sys";
import { after, check, equal, finish, ok } from "./checks.ts";

await check("args and environ: as the process was given them", () => {
  equal(sys.args.slice(1), ["first", "söcond", ""]);
  ok(sys.environ.includes("MOOR_TEST_VALUE=a=b ü"), "the variable of test.sh");
});

await check("import(): a chunk is loaded when it is asked for, once", async () => {
  const first = await import("./lazy-chunk.ts");
  const second = await import("./lazy-chunk.ts");
  ok(first === second, "the same namespace");
  equal(first.next(), 1);
  equal(second.next(), 2);
});

await check("import(): a module that is not there is a rejection", async () => {
  const name = "./absent.js";
  let text = "";
  try {
    await import(name);
  } catch (thrown) {
    text = String(thrown);
  }
  ok(text.includes("absent.js"), text);
});

await check("heap, collectGarbage: cycles are freed", () => {
  sys.collectGarbage();
  const before = sys.heap().usedBytes;
  for (let i = 0; i < 2000; i++) {
    const cycle: { self?: unknown; room: number[] } = { room: [1, 2, 3] };
    cycle.self = cycle;
  }
  sys.collectGarbage();
  ok(sys.heap().usedBytes - before < 50_000, "the heap is as small as before");
  equal(sys.heap().limitBytes, 64 * 1024 * 1024);
});

await check("one absurd allocation throws and can be caught", () => {
  let thrown: unknown;
  try {
    new Uint8Array(1024 * 1024 * 1024);
  } catch (error) {
    thrown = error;
  }
  ok(thrown instanceof Error, "an error");
  let text = "x".repeat(1024);
  try {
    for (;;) text = `${text}${text}`.toUpperCase();
  } catch (error) {
    thrown = error;
  }
  ok(thrown instanceof Error, "an error for a string");
});

await check("endless recursion throws and can be caught", () => {
  const recurse = (depth: number): number => 1 + recurse(depth + 1);
  let text = "";
  try {
    recurse(0);
  } catch (error) {
    text = String(error);
  }
  ok(text.includes("stack"), text);
  let deep = "";
  try {
    JSON.parse("[".repeat(100_000));
  } catch (error) {
    deep = String(error);
  }
  ok(deep !== "", "deep JSON throws");
});

await check("the compiler is not there", () => {
  let refused = false;
  try {
    new Function("return 1")();
  } catch {
    refused = true;
  }
  ok(refused, "new Function throws");
  ok(/^a(?<rest>.)$/u.exec("ab")?.groups?.["rest"] === "b", "RegExp is there");
  equal(new RegExp("b+").exec("abb")?.[0], "bb");
});

await check("a callback may still run after all that", async () => {
  await after(1);
});

finish();
