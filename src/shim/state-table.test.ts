// The table cell by cell (it is printed into docs/state-machine.md; UPDATE_DOCS=1 writes the page anew), and random
// walks through it. SEED=N repeats a walk.

import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { repositoryDir } from "../../test/harness/repository.ts";
import { grpcCodes } from "../sys/error.ts";
import {
  type Happening,
  execTable,
  initTable,
  next,
  type ProcessState,
  type Request,
  type Table,
} from "./state-table.ts";
import { printStateMachine } from "./state-machine-page.fixture.ts";

const tables: readonly (readonly [name: string, table: Table])[] = [
  ["init", initTable],
  ["exec", execTable],
];
const states = Object.keys(initTable) as readonly ProcessState[];
const asked = Object.keys(initTable.created) as readonly (Request | Happening)[];
const outcomes: readonly (readonly [begun: ProcessState, good: Happening, bad: Happening])[] = [
  ["starting", "started", "startFailed"],
  ["pausing", "paused", "pauseFailed"],
  ["resuming", "resumed", "resumeFailed"],
  ["deleting", "deleted", "deleteFailed"],
];

test("state table: docs/state-machine.md shows it", () => {
  const path = join(repositoryDir(), "docs", "state-machine.md");
  const page = printStateMachine();
  if (process.env["UPDATE_DOCS"] === "1") writeFileSync(path, page);
  assert.equal(readFileSync(path, "utf8"), page, "UPDATE_DOCS=1 prints the table into docs/state-machine.md");
});

test("state table: every cell leads to a state of the table, stays, waits, or refuses with code and reason", () => {
  for (const [name, table] of tables) {
    assert.deepEqual(Object.keys(table), [...states], name);
    for (const state of states) {
      assert.deepEqual(new Set(Object.keys(table[state])), new Set(asked), `${name} ${state}`);
      for (const what of asked) {
        const cell = next(table, state, what);
        const where = `${name} ${state} ${what}`;
        if (cell.kind === "to") assert.ok(states.includes(cell.state), where);
        if (cell.kind === "no") assert.ok(cell.code in grpcCodes && cell.why !== "", where);
      }
    }
  }
});

test("state table: what happens is never refused, and waits only while a start is under way", () => {
  for (const [name, table] of tables) {
    for (const state of states) {
      for (const what of ["exited", "announced", ...outcomes.flatMap(([, good, bad]) => [good, bad])] as const) {
        const { kind } = next(table, state, what);
        const allowed = state === "starting" && what === "exited" ? ["later"] : ["to", "stay"];
        assert.ok(allowed.includes(kind), `${name} ${state} ${what}: ${kind}`);
      }
    }
  }
});

test("state table: what was begun ends by its outcome alone, and an outcome that comes late changes nothing", () => {
  for (const [name, table] of tables) {
    for (const state of reachable(table)) {
      for (const [begun, good, bad] of outcomes) {
        for (const outcome of [good, bad]) {
          assert.equal(
            next(table, state, outcome).kind,
            state === begun ? "to" : "stay",
            `${name} ${state} ${outcome}`,
          );
        }
      }
    }
  }
});

test("state table: an exit is announced once; nothing lives after it, and nothing leaves deleted", () => {
  const dead: readonly ProcessState[] = ["exiting", "stopped", "deleting", "deleted"];
  for (const [name, table] of tables) {
    for (const state of dead) {
      for (const what of asked) {
        const cell = next(table, state, what);
        const where = `${name} ${state} ${what}`;
        if (cell.kind === "to") assert.ok(dead.includes(cell.state), where);
        assert.notEqual(cell.kind, "killFirst", where);
        if (state === "deleted")
          assert.ok(cell.kind === "stay" || (cell.kind === "no" && cell.code === "not_found"), where);
      }
      const leavesByAnnouncement = next(table, state, "announced").kind === "to";
      assert.equal(leavesByAnnouncement, state === "exiting", `${name} ${state}`);
    }
  }
});

test("state table: a kill of what has ended is not found, in the words that clients look for", () => {
  for (const [name, table] of tables) {
    for (const state of ["exiting", "stopped", "deleting", "deleted"] as const) {
      const cell = next(table, state, "kill");
      assert.deepEqual(
        cell,
        { kind: "no", code: "not_found", why: "process already finished: not found" },
        `${name} ${state}`,
      );
    }
  }
});

test("random walks: none leaves the table, and from everywhere the way leads to deleted", (t) => {
  const seed = Number(process.env["SEED"] ?? randomInt(2 ** 31));
  t.diagnostic(`seed ${seed}`);
  for (const [name, table] of tables) {
    const walk = fc.property(fc.array(fc.constantFrom(...asked), { maxLength: 80 }), (steps) => {
      let state: ProcessState = "created";
      for (const what of steps) {
        state = after(table, state, what);
        assert.ok(states.includes(state));
      }
      const path = [state];
      while (state !== "deleted") {
        assert.ok(path.length < 12, `${name}: no way out: ${path.join(" ")}`);
        state = onward(table, state);
        path.push(state);
      }
    });
    fc.assert(walk, { seed, numRuns: 2000 });
  }
});

function after(table: Table, state: ProcessState, what: Request | Happening): ProcessState {
  const cell = next(table, state, what);
  return cell.kind === "to" ? cell.state : state;
}

/** One step of a daemon that wants the process gone: what is under way ends, it is killed, exits, is announced, deleted. */
function onward(table: Table, state: ProcessState): ProcessState {
  const begun = outcomes.find(([each]) => each === state);
  if (begun !== undefined) return after(table, state, begun[1]);
  if (state === "exiting") return after(table, state, "announced");
  const asks = next(table, state, "delete");
  if (asks.kind === "to") return asks.state;
  // "killFirst", or refused as it still runs: a kill is taken, and the exit follows.
  assert.equal(next(table, state, "kill").kind, "stay", `${state}: it can be killed`);
  return after(table, state, "exited");
}

function reachable(table: Table): readonly ProcessState[] {
  const found: ProcessState[] = ["created"];
  for (const state of found) {
    for (const what of asked) {
      const to = after(table, state, what);
      if (!found.includes(to)) found.push(to);
    }
  }
  return found;
}
