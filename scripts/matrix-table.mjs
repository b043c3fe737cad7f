// What a cell of the matrix printed, as counts; and the counts of all cells, as a table in Markdown.

const begin = "<!-- made by scripts/test-matrix readme, from the last run of make test-matrix -->";
const end = "<!-- end of what scripts/test-matrix makes -->";

/** Exit status of a cell that cannot run on this machine. */
const cannotRun = 77;

/**
 * The result of a command that ended with this status and printed this.
 * @returns { passed, failed, skipped, leftOut: reasons of skipped tests, cannot: why the cell cannot run, or "" }
 */
export function readSummary(status, stdout, stderr) {
  const none = { passed: 0, failed: 0, skipped: 0, leftOut: [], cannot: "" };
  if (status === cannotRun) return { ...none, cannot: stderr.trim().split("\n").at(-1) || "no reason was given" };
  const plain = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/m.exec(stdout);
  // The summary stands last; before it may be what a test printed.
  const count = (word) =>
    Number([...stdout.matchAll(new RegExp(`^# ${word} (\\d+)$`, "gm"))].at(-1)?.[1] ?? Number.NaN);
  const [passed, failed, skipped] =
    plain === null
      ? [count("pass"), count("fail") + count("cancelled"), count("skipped")]
      : [Number(plain[1]), Number(plain[2]), Number(plain[3] ?? 0)];
  const leftOut = [...stdout.matchAll(/^ *ok \d+ - (.*) # SKIP ?(.*)$/gm)].map(([, test, why]) => `${test}: ${why}`);
  // A command that broke off has counted nothing, or not everything.
  if (Number.isNaN(passed + failed + skipped)) return { ...none, failed: 1 };
  return { passed, failed: failed === 0 && status !== 0 ? 1 : failed, skipped, leftOut, cannot: "" };
}

/** A table of results, and below it what they leave out. */
export function table(results) {
  const rows = results.map(({ daemon, runtime, suite, passed, failed, skipped, cannot }) => {
    const counts = cannot === "" ? [passed, failed, skipped] : ["-", "-", "-"];
    return `| ${[daemon, runtime, suite, ...counts].join(" | ")} |`;
  });
  const head = ["| daemon | runtime | tests | passed | failed | left out |", "|---|---|---|---|---|---|"];
  const notes = new Map();
  for (const { daemon, runtime, cannot, leftOut } of results) {
    const cell = `${daemon} with ${runtime}`;
    for (const note of cannot === "" ? leftOut : [`cannot run here: ${cannot}`]) {
      notes.set(note, [...(notes.get(note) ?? []), cell]);
    }
  }
  const told = [...notes].map(([note, where]) => {
    const place = where.length === results.length ? "everywhere" : where.join("; ");
    return `- ${note} (${place})`;
  });
  return [...head, ...rows, ...(told.length === 0 ? [] : ["", "Left out:", "", ...told])].join("\n");
}

/** The README's text with this table in its place. @throws Error when the README has no place for it. */
export function withTable(readme, markdown) {
  const [from, to] = [readme.indexOf(begin), readme.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`README.md has no lines "${begin}" and "${end}"`);
  return `${readme.slice(0, from)}${begin}\n\n${markdown}\n\n${readme.slice(to)}`;
}
