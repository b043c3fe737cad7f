// Which containers there are, told by the folders they have: moor's own state folders, and the bundles that containerd
// keeps. No daemon and no shim is asked, so this works whatever of them is down.

import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { resolveIdentifier } from "./identifier.ts";
import type { Settings } from "./settings.ts";
import { listStateFolders, namesIn, type StateFolder } from "./state-folder.ts";

/** Where containerd 1.6 and later keep the bundles, under their state folder. */
const bundleFolder = "io.containerd.runtime.v2.task";

export interface Container {
  readonly id: string;
  readonly namespace: string;
  /** The folder with config.json, as the shim knows it. */
  readonly bundle: string;
  /** Whose it is: only moor's own are moor's to remove. */
  readonly owner: "moor" | "containerd";
  /** Of moor's own ones. */
  readonly folder: StateFolder | undefined;
}

/** Every container that may be a moor shim's, in this namespace or in all, sorted by namespace and id. */
export function listContainers(settings: Pick<Settings, "root" | "containerdState" | "namespace">): Container[] {
  const own = listStateFolders(settings.root).map((folder): Container => {
    return { id: folder.id, namespace: folder.namespace, bundle: folder.dir, owner: "moor", folder };
  });
  const bundles = join(settings.containerdState, bundleFolder);
  const theirs = namesIn(bundles).flatMap((namespace) =>
    namesIn(join(bundles, namespace))
      // containerd prepares a bundle under a name that begins with a dot, and deletes it under one.
      .filter((id) => !id.startsWith("."))
      .map((id): Container => {
        return { id, namespace, bundle: join(bundles, namespace, id), owner: "containerd", folder: undefined };
      }),
  );
  return [...own, ...theirs]
    .filter((container) => settings.namespace === undefined || container.namespace === settings.namespace)
    .sort((a, b) => a.namespace.localeCompare(b.namespace) || a.id.localeCompare(b.id));
}

/** The container that a word on the command line means. @throws CliError when none or several. */
export function findContainer(word: string, settings: Settings): Container {
  return resolveIdentifier(word, listContainers(settings));
}

/** The address that the shim wrote into its bundle; undefined when it has not, or not yet. */
export function addressOf(container: Container): string | undefined {
  try {
    const address = readFileSync(join(container.bundle, "address"), "utf8").trim();
    return address === "" ? undefined : address;
  } catch {
    return undefined;
  }
}

/** Whether a program of this name is a moor shim. */
export function isMoorShim(program: string): boolean {
  return /^containerd-shim-moor(-|$)/.test(basename(program));
}

/** Whether a bundle whose shim cannot be asked was a moor shim's: it left its records, or containerd noted the binary. */
export function wasMoorShim(container: Container): boolean {
  if (existsSync(join(container.bundle, "exits.json"))) return true;
  try {
    return isMoorShim(readFileSync(join(container.bundle, "shim-binary-path"), "utf8").trim());
  } catch {
    return false;
  }
}
