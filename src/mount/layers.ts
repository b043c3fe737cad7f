// An overlay's lower layers. Their option outgrows the page that mount(2) takes when an image has some dozens of layers;
// the layers lie in one folder, though, and relative to it their names are short.

const option = "lowerdir=";

/** The folders of `lowerdir=`, topmost first; empty without the option. `\:` is no separator. */
export function lowerDirs(data: readonly string[]): string[] {
  const value = data.find((each) => each.startsWith(option))?.slice(option.length);
  return value === undefined ? [] : value.split(/(?<!\\):/);
}

/** The same options with other lower layers. */
export function withLowerDirs(data: readonly string[], dirs: readonly string[]): string[] {
  return data.map((each) => (each.startsWith(option) ? `${option}${dirs.join(":")}` : each));
}

/**
 * The deepest folder that holds all of these absolute paths, or undefined when it is the root folder, or one of them is
 * not a plain absolute path (empty before the data-only layers, or relative).
 */
export function commonFolder(dirs: readonly string[]): string | undefined {
  let common: string[] | undefined;
  for (const dir of dirs) {
    if (!dir.startsWith("/")) return undefined;
    const parts = dir.split("/").slice(1, -1);
    const shared: string[] = [];
    for (const [index, part] of (common ?? parts).entries()) {
      if (parts[index] !== part) break;
      shared.push(part);
    }
    common = shared;
  }
  return common === undefined || common.length === 0 ? undefined : `/${common.join("/")}`;
}

/** The paths as seen from `folder`, which holds all of them; or in another folder with the same content. */
export function relativeTo(folder: string, dirs: readonly string[], to = ""): string[] {
  return dirs.map((dir) => to + dir.slice(folder.length + (to === "" ? 1 : 0)));
}
