// Which stock shim a figure is held against, whether an aim is met, and what table and chart make of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { drawChart } from "./chart.ts";
import { betterStock, type Figure, meetsAim, ratioToBetter } from "./figure.ts";
import { formatTable } from "./table.ts";

const time: Figure = {
  kind: { id: "B1", what: "start", unit: "ms", aim: { ratio: 0.45 }, chart: "start" },
  samples: { moor: [2, 2, 2], older: [5, 4, 6], newer: [4, 4, 4] },
};
const rate: Figure = {
  kind: { id: "B8", what: "output", unit: "GiB/s", aim: { ratio: 2 }, isRate: true, chart: "a < b & c" },
  samples: { moor: [3], older: [1], newer: [1.5] },
};

test("betterStock: the quicker for a time, the higher for a rate, the one there is", () => {
  assert.equal(betterStock(time), "newer");
  assert.equal(betterStock(rate), "newer");
  assert.equal(betterStock({ ...time, samples: { moor: [1], older: [2] } }), "older");
  assert.equal(betterStock({ ...time, samples: { moor: [1] } }), undefined);
});

test("meetsAim: a ratio as it is shown, a value of one's own, conmon's figure, a rate the other way round", () => {
  assert.equal(ratioToBetter(time)?.value, 0.5);
  assert.equal(meetsAim(time), false);
  assert.equal(meetsAim({ ...time, samples: { moor: [4.54], newer: [10] } }), true);
  assert.equal(meetsAim(rate), true);
  const idle: Figure = {
    kind: { id: "B12", what: "", unit: "", aim: { value: 0 } },
    samples: { moor: [0], older: [0] },
  };
  assert.equal(meetsAim(idle), true);
  assert.equal(ratioToBetter(idle), undefined);
  const memory: Figure = {
    kind: { id: "B10", what: "", unit: "KB", aim: { ratio: 0.2, conmon: true } },
    samples: { moor: [10], older: [100], conmon: [9] },
  };
  assert.equal(meetsAim(memory), false);
  assert.equal(meetsAim({ ...memory, samples: { ...memory.samples, conmon: [10] } }), true);
  assert.equal(meetsAim({ ...memory, kind: { id: "B10", what: "", unit: "KB" } }), undefined);
});

test("meetsAim: by the quantile that the figure is of", () => {
  const samples = { moor: [1, 1, 1, 100], older: [2, 2, 2, 2] };
  const kind = { id: "B7", what: "", unit: "us", aim: { ratio: 0.7 } } as const;
  assert.equal(meetsAim({ kind, samples }), true);
  assert.equal(meetsAim({ kind: { ...kind, quantile: 0.99 }, samples }), false);
});

test("formatTable: Markdown with a verdict for each line, a column for each side that was measured", () => {
  const table = formatTable([time, rate], { moor: "Moor", older: "stock 1.6", newer: "stock 2.1" });
  const [header = "", , first = "", second = ""] = table.split("\n");
  assert.match(header, /\| figure +\| stock 1\.6 +\| stock 2\.1 +\| Moor +\|/);
  assert.match(first, /\| B1 .*5\.00 ms \[4\.50-5\.50\].*0\.50.*<= 0\.45 +\| MISSED/);
  assert.match(second, /\| B8 .*3\.00 GiB\/s.*2\.00.*>= 2 +\| met/);
});

test("drawChart: a bar for each figure with a name, a rate turned round, text escaped", () => {
  const svg = drawChart([time, rate, { ...time, kind: { id: "B3", what: "x", unit: "ms" } }], {}, { date: "today" });
  assert.equal(svg.match(/class="bar/g)?.length, 2);
  assert.equal(svg.match(/class="number">0\.50</g)?.length, 2);
  assert.match(svg, /a &lt; b &amp; c/);
});
