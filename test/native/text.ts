// Text, time, random, and the globals TextEncoder and TextDecoder.

import sys from "sys";
import { check, equal, finish, ok, typeError } from "./checks.ts";

const bytes = (...values: number[]) => new Uint8Array(values);
const malformed = "\ufffd";

await check("encodeUtf8: every width, and U+FFFD for an unpaired surrogate", () => {
  equal(sys.encodeUtf8("aé€😀"), bytes(0x61, 0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80));
  equal(sys.encodeUtf8("\ud83dx\ude00"), bytes(0xef, 0xbf, 0xbd, 0x78, 0xef, 0xbf, 0xbd));
  equal(sys.encodeUtf8("\0"), bytes(0));
  equal(sys.encodeUtf8("").length, 0);
  equal(sys.encodeUtf8("퟿"), bytes(0xed, 0x9f, 0xbf));
});

await check("decodeUtf8: what is well-formed comes back as it was", () => {
  for (const text of ["", "a\0b", "aé€😀", "\ufeffx", "퟿", "\u{10ffff}"])
    equal(sys.decodeUtf8(sys.encodeUtf8(text)), text);
});

await check("decodeUtf8: one U+FFFD for each maximal part of a malformed sequence", () => {
  equal(sys.decodeUtf8(bytes(0x61, 0x80, 0x62)), `a${malformed}b`);
  equal(sys.decodeUtf8(bytes(0xc0, 0xaf)), malformed.repeat(2));
  equal(sys.decodeUtf8(bytes(0xe2, 0x82)), malformed);
  equal(sys.decodeUtf8(bytes(0xe2, 0x82, 0x41)), `${malformed}A`);
  equal(sys.decodeUtf8(bytes(0xed, 0xa0, 0x80)), malformed.repeat(3));
  equal(sys.decodeUtf8(bytes(0xf0, 0x9f, 0x98)), malformed);
  equal(sys.decodeUtf8(bytes(0xf0, 0x80, 0x80, 0x80)), malformed.repeat(4));
  equal(sys.decodeUtf8(bytes(0xf4, 0x90, 0x80, 0x80)), malformed.repeat(4));
  equal(sys.decodeUtf8(bytes(0xff, 0xfe)), malformed.repeat(2));
});

await check("decodeUtf8: takes a view into a larger buffer", () => {
  equal(sys.decodeUtf8(sys.encodeUtf8("hello world").subarray(6)), "world");
});

await check("TextDecoder: BOM, fatal, labels", () => {
  const bom = bytes(0xef, 0xbb, 0xbf, 0x78);
  equal(new TextDecoder().decode(bom), "x");
  equal(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bom), "\ufeffx");
  equal(new TextDecoder("UTF8").decode(), "");
  equal(new TextDecoder().decode(bytes(0xff)), malformed);
  typeError(() => new TextDecoder("utf-8", { fatal: true }).decode(bytes(0xff)), "fatal");
  equal(new TextDecoder("utf-8", { fatal: true }).decode(bytes(0x78)), "x");
  let refused = false;
  try {
    new TextDecoder("latin1");
  } catch (thrown) {
    refused = thrown instanceof RangeError;
  }
  ok(refused, "another label is a RangeError");
  typeError(() => TextDecoder.prototype.decode.call({} as TextDecoder, bom), "decode of another object");
  typeError(() => (TextDecoder as unknown as () => void)(), "TextDecoder without new");
});

await check("TextEncoder: encode and encodeInto", () => {
  const encoder = new TextEncoder() as TextEncoder & {
    encodeInto(text: string, into: Uint8Array): { read: number; written: number };
  };
  equal(encoder.encode("é"), bytes(0xc3, 0xa9));
  equal(encoder.encode().length, 0);
  const room = new Uint8Array(6);
  equal(encoder.encodeInto("a😀€", room), { read: 3, written: 5 });
  equal(room, bytes(0x61, 0xf0, 0x9f, 0x98, 0x80, 0));
  equal(encoder.encodeInto("\ud800", room), { read: 1, written: 3 });
  equal(room.subarray(0, 3), bytes(0xef, 0xbf, 0xbd));
  equal(encoder.encodeInto("abc", new Uint8Array(0)), { read: 0, written: 0 });
});

await check("clocks: realtime agrees with Date, monotonic goes on", () => {
  const now = Number(sys.realtimeNs() / 1000000n);
  ok(Math.abs(now - Date.now()) < 1000, "realtimeNs is near Date.now()");
  const first = sys.monotonicMs();
  ok(sys.monotonicMs() >= first && first > 0, "monotonicMs does not go back");
});

await check("randomBytes: as many as asked, and not always the same", () => {
  equal(sys.randomBytes(0).length, 0);
  equal(sys.randomBytes(4096).length, 4096);
  const [first, second] = [sys.randomBytes(16), sys.randomBytes(16)];
  ok(first.join() !== second.join(), "two draws differ");
  typeError(() => sys.randomBytes(4097), "more than 4096");
  typeError(() => sys.randomBytes(-1), "a negative count");
});

await check("kernelRelease: as /proc has it", () => {
  equal(`${sys.kernelRelease()}\n`, sys.readText("/proc/sys/kernel/osrelease", 256));
});

await check("wrong types are TypeErrors", () => {
  typeError(() => sys.encodeUtf8(1 as never), "encodeUtf8(1)");
  typeError(() => sys.decodeUtf8("x" as never), "decodeUtf8 of a string");
  typeError(() => sys.decodeUtf8(new Uint16Array(1) as never), "decodeUtf8 of a Uint16Array");
  typeError(() => sys.randomBytes("1" as never), "randomBytes of a string");
});

finish();
