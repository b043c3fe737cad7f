// How long a daemon that has come back is left alone: by the age of its socket, if that says anything.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ENOENT } from "../sys/errno.ts";
import type { Sys } from "../sys/sys.d.ts";
import { awaitsReadersMs } from "./event-sink.ts";

test("awaitsReadersMs: four seconds less the age of the socket, and nothing without one or by a clock set back", () => {
  const restAt = (ageMs: number | undefined, address = "unix:///run/d.ttrpc"): number => {
    const nowMs = 1_700_000_000_000;
    const sys = {
      realtimeNs: () => BigInt(nowMs) * 1_000_000n,
      stat: (path: string) => {
        return path === "/run/d.ttrpc" && ageMs !== undefined ? { mtimeMs: nowMs - ageMs } : ENOENT;
      },
    } as unknown as Sys;
    return awaitsReadersMs(sys, address);
  };
  assert.equal(restAt(0), 4000);
  assert.equal(restAt(1000.5), 3000);
  assert.equal(restAt(3999), 1);
  assert.equal(restAt(4000), 0);
  assert.equal(restAt(86_400_000), 0);
  assert.equal(restAt(-5), 0);
  assert.equal(restAt(undefined), 0);
  assert.equal(restAt(500, "/run/d.ttrpc"), 3500);
  assert.equal(restAt(500, "vsock://1:2"), 0);
});
