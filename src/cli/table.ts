// Tables for people: a header in capitals, columns aligned, two spaces between them. Colour is added after measuring.

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
  /** Numbers stand at the right of their column. */
  readonly right?: boolean;
  /** Dresses the padded cell, e.g. in a colour; it must not change what is seen of its width. */
  readonly dress?: (padded: string, row: Row) => string;
}

/** The lines of the table, header first; no line ends in spaces unless it is dressed. */
export function tableLines<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[] {
  const cells = rows.map((row) => columns.map((column) => printable(column.cell(row))));
  const widths = columns.map((column, i) =>
    Math.max(column.title.length, ...cells.map((line) => (line[i] ?? "").length)),
  );
  const pad = (text: string, i: number): string => {
    const width = widths[i] as number;
    if (columns[i]?.right === true) return text.padStart(width);
    return i === columns.length - 1 ? text : text.padEnd(width);
  };
  const header = columns.map((column, i) => pad(column.title, i)).join("  ");
  const lines = cells.map((line, r) =>
    line
      .map((text, i) => {
        const padded = pad(text, i);
        return columns[i]?.dress?.(padded, rows[r] as Row) ?? padded;
      })
      .join("  "),
  );
  return [header, ...lines];
}

// What comes from elsewhere (a bundle's path, an id) must not move the cursor.
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
  return text === "" ? "-" : text.replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");
}
