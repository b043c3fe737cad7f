// Go-style templates, as far as operators use them with --format: fields, json, range, and nothing else. A template is
// read once, so that what it gets wrong is told before anything is printed.

import { CliError } from "./cli-error.ts";

/** Makes the text of one value. */
export type Template = (value: unknown) => string;

type Part = (value: unknown) => string;

const braces = /\{\{-?\s*(.*?)\s*-?\}\}/gs;
const field = /^(?:\.|(?:\.[A-Za-z_][A-Za-z0-9_]*)+)$/;

/**
 * Reads `{{.Field}}`, `{{.}}`, `{{json .Field}}` and `{{range .Field}}...{{end}}`; names of fields are those of the JSON
 * output, in any case of letters. `\n` and `\t` outside of braces stand for what they stand for in a shell's printf.
 * @throws CliError usage for anything else.
 */
export function parseTemplate(text: string): Template {
  const open: Part[][] = [[]];
  const paths: string[] = [];
  let end = 0;
  for (const match of text.matchAll(braces)) {
    literal(open.at(-1) as Part[], text.slice(end, match.index));
    end = match.index + match[0].length;
    action(match[1] as string, open, paths);
  }
  literal(open.at(-1) as Part[], text.slice(end));
  if (open.length > 1) throw new CliError(`the template ${JSON.stringify(text)}: a range has no {{end}}`, "usage");
  return join(open[0] as Part[]);
}

function action(words: string, open: Part[][], paths: string[]): void {
  const [verb = "", operand = "", ...more] = words.split(/\s+/);
  const parts = open.at(-1) as Part[];
  if (verb === "end" && operand === "" && open.length > 1) {
    const body = join(open.pop() as Part[]);
    const path = paths.pop() as string;
    open.at(-1)?.push((value) => itemsOf(valueAt(value, path)).map(body).join(""));
  } else if (verb === "range" && field.test(operand) && more.length === 0) {
    open.push([]);
    paths.push(operand);
  } else if (verb === "json" && field.test(operand) && more.length === 0) {
    parts.push((value) => JSON.stringify(valueAt(value, operand) ?? null));
  } else if (field.test(verb) && operand === "") {
    parts.push((value) => plain(valueAt(value, verb)));
  } else {
    const known = "{{.Field}}, {{json .Field}} and {{range .Field}}...{{end}}";
    throw new CliError(`the template's {{${words}}} is not understood: there are ${known}`, "usage");
  }
}

function literal(parts: Part[], text: string): void {
  const meant = text.replace(/\\([nt])/g, (_all, letter) => (letter === "n" ? "\n" : "\t"));
  if (meant !== "") parts.push(() => meant);
}

function join(parts: readonly Part[]): Template {
  return (value) => parts.map((part) => part(value)).join("");
}

/** @throws CliError for a field that the value has not. */
function valueAt(value: unknown, path: string): unknown {
  let at = value;
  for (const name of path.split(".").filter((each) => each !== "")) {
    if (at === null || at === undefined) return undefined;
    const keys = typeof at === "object" ? Object.keys(at) : [];
    const key = keys.find((each) => each.toLowerCase() === name.toLowerCase());
    if (key === undefined) {
      const known = keys.length === 0 ? "it has no fields" : `there are ${keys.join(", ")}`;
      throw new CliError(`the template's field .${name} is not there: ${known}`, "usage");
    }
    at = (at as Record<string, unknown>)[key];
  }
  return at;
}

function itemsOf(value: unknown): unknown[] {
  if (value === null || value === undefined) return [];
  return Array.isArray(value) ? value : Object.values(value as object);
}

function plain(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
