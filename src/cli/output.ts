// How rows are printed: a table for people, an array for programs, a template for scripts; and one object a line where
// rows come one after the other.

import { Option } from "commander";
import { CliError } from "./cli-error.ts";
import { type Column, tableLines } from "./table.ts";
import { parseTemplate, type Template } from "./template.ts";

/** "table", "json", or what a template makes of one row. */
export type Format = "table" | "json" | Template;

/** The option --format of a command that prints rows. */
export function formatOption(): Option {
  return new Option("--format <format>", "how to print: table, json, or a template as {{.ID}}").default("table");
}

/** Reads what --format was given. @throws CliError usage. */
export function parseFormat(text: string): Format {
  if (text === "table" || text === "json") return text;
  if (text.includes("{{")) return parseTemplate(text);
  throw new CliError(`the format ${JSON.stringify(text)}: it is table, json, or a template such as {{.ID}}`, "usage");
}

/** The text of a whole list. */
export function listText<Row>(format: Format, rows: readonly Row[], columns: () => Column<Row>[]): string {
  if (format === "table") return `${tableLines(columns(), rows).join("\n")}\n`;
  if (format === "json") return `${JSON.stringify(rows, undefined, 2)}\n`;
  return rows.map((row) => `${format(row)}\n`).join("");
}

/** The line of one row of a stream; `line` makes it for people. */
export function streamText<Row>(format: Format, row: Row, line: (row: Row) => string): string {
  if (format === "json") return `${JSON.stringify(row)}\n`;
  return `${format === "table" ? line(row) : format(row)}\n`;
}
