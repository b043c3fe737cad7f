import assert from "node:assert/strict";
import { test } from "node:test";
import { tableLines } from "./table.ts";

interface Row {
  readonly id: string;
  readonly pid: number;
  readonly status: string;
}

const columns = [
  { title: "ID", cell: (row: Row) => row.id },
  { title: "PID", cell: (row: Row) => String(row.pid), right: true },
  { title: "STATUS", cell: (row: Row) => row.status },
];

test("tableLines: columns are as wide as their widest cell, numbers at the right, no spaces at the end", () => {
  const rows = [
    { id: "a", pid: 7, status: "running" },
    { id: "longer-id", pid: 12345, status: "x" },
  ];
  assert.deepEqual(tableLines(columns, rows), [
    "ID           PID  STATUS",
    "a              7  running",
    "longer-id  12345  x",
  ]);
});

test("tableLines: an empty table is its header, an empty cell a dash", () => {
  assert.deepEqual(tableLines(columns, []), ["ID  PID  STATUS"]);
  assert.deepEqual(tableLines(columns, [{ id: "", pid: 1, status: "" }]), ["ID  PID  STATUS", "-     1  -"]);
});

test("tableLines: control characters do not reach the terminal", () => {
  const [, line] = tableLines(columns, [{ id: "a\u001b[31m\n", pid: 1, status: "ok" }]);
  assert.equal(line, "a?[31m?    1  ok");
});

test("tableLines: a dress is put on the padded cell", () => {
  const dressed = [
    { title: "ID", cell: (row: Row) => row.id, dress: (text: string) => `<${text}>` },
    ...columns.slice(1),
  ];
  assert.equal(tableLines(dressed, [{ id: "a", pid: 1, status: "ok" }])[1], "<a >    1  ok");
});
