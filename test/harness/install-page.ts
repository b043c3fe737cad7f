// The configurations on docs/install.md, for the tests that give them to the daemons they are for.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryDir } from "./repository.ts";

export function installPage(): string {
  return readFileSync(join(repositoryDir(), "docs/install.md"), "utf8");
}

/** The text of the block that stands behind `<!-- snippet: NAME -->` on the page. @throws Error when there is none. */
export function snippet(name: string): string {
  const [, after] = installPage().split(`<!-- snippet: ${name} -->\n`);
  const text = /^```\w+\n([\s\S]*?)\n```\n/.exec(after ?? "")?.[1];
  if (text === undefined) throw new Error(`docs/install.md has no snippet ${name}`);
  return `${text}\n`;
}
