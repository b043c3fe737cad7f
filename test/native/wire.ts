// The shim's reader and writer of protobuf in the engine that they are made for: its whole numbers of any size have
// faults of their own, which Node's do not show.

import { BinaryReader, BinaryWriter } from "../../src/api/wire.ts";
import { check, equal, finish, ok } from "./checks.ts";

await check("wire: numbers with a sign come back, to the last bit", () => {
  const edges = [0n, 1n, 127n, 128n, 2n ** 31n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n + 1n, 2n ** 62n, 2n ** 63n - 1n];
  for (const value of [...edges, ...edges.map((edge) => -edge), -(2n ** 63n), -62_135_596_800n]) {
    ok(new BinaryReader(new BinaryWriter().int64(value).finish()).int64() === value, "the same");
  }
});

await check("wire: numbers without a sign come back, to the last bit", () => {
  for (const value of [0n, 127n, 2n ** 53n + 1n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n]) {
    ok(new BinaryReader(new BinaryWriter().uint64(value).finish()).uint64() === value, "the same");
  }
  for (const value of [0, 127, 128, 2 ** 31, 2 ** 32 - 1]) {
    equal(new BinaryReader(new BinaryWriter().uint32(value).finish()).uint32(), value);
  }
});

await check("wire: a negative number takes ten bytes", () => {
  equal(new BinaryWriter().int32(-1).finish(), new Uint8Array([255, 255, 255, 255, 255, 255, 255, 255, 255, 1]));
  equal(
    new BinaryWriter().int64(-62_135_596_800n).finish(),
    new Uint8Array([128, 146, 184, 195, 152, 254, 255, 255, 255, 1]),
  );
});

await check("wire: text of every width, and messages in messages", () => {
  for (const text of ["", "a", "é€😀", "\ufeffx", "x".repeat(5000)]) {
    const writer = new BinaryWriter().uint32(10).fork().string(text).join();
    const reader = new BinaryReader(writer.finish());
    equal(reader.uint32(), 10);
    equal(new BinaryReader(reader.bytes()).string(), text);
  }
});

finish();
