// Runtime options written in TOML, as containerd's CRI plugin and Docker pass them for a runtime they do not know:
//     BinaryName = "crun"
//     SystemdCgroup = true
// Loaded only when such options come (it brings the TOML parser with it).

import { parse } from "smol-toml";
import { MoorError } from "../sys/error.ts";
import { quoted } from "../sys/quoted.ts";
import { defaultOptions, type RuntimeOptions } from "./options.ts";

/**
 * The options in this text; `where` names it in errors. Names may be written as in containerd's config (BinaryName) or
 * as in the message (binary_name).
 * @throws MoorError invalid_argument: not TOML, an unknown name, a value of a wrong type.
 */
export function parseTomlOptions(text: string, where: string): RuntimeOptions {
  let table: Record<string, unknown>;
  try {
    table = parse(text);
  } catch (thrown) {
    // The parser's text goes on with a drawing of the line; its first line says it all.
    const why = (thrown instanceof Error ? thrown.message : String(thrown)).split("\n")[0] ?? "";
    throw new MoorError("invalid_argument", `runtime options in ${where}: ${why}`, { cause: thrown });
  }
  const options: Record<string, unknown> = { ...defaultOptions };
  for (const [name, value] of Object.entries(table)) {
    const plain = name.replaceAll("_", "").toLowerCase();
    // containerd passes its whole options table on, with the label of the text in it.
    if (plain === "typeurl") continue;
    const field = Object.keys(defaultOptions).find((key) => key.toLowerCase() === plain);
    if (field === undefined) {
      throw new MoorError("invalid_argument", `runtime options in ${where}: ${quoted(name)} is no known option`);
    }
    options[field] = checked(value, defaultOptions[field as keyof RuntimeOptions], name, where);
  }
  return options as unknown as RuntimeOptions;
}

function checked(value: unknown, example: string | number | boolean, name: string, where: string): unknown {
  if (typeof value !== typeof example) {
    const what = `runtime options in ${where}: ${name} must be a ${typeof example}, not a ${typeof value}`;
    throw new MoorError("invalid_argument", what);
  }
  if (typeof value === "number" && (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff)) {
    throw new MoorError("invalid_argument", `runtime options in ${where}: ${name} must be an id from 0 to 4294967295`);
  }
  return value;
}
