// Flame graphs: stacks, each with how often it was seen, as an SVG document. The width of a box is its part of all that
// was seen; what called it is below.

export interface Flame {
  readonly name: string;
  count: number;
  readonly callees: Map<string, Flame>;
}

const width = 1200;
const rowHeight = 18;
const top = 44;
const smallestWidth = 0.6;
const charWidth = 6.6;

export function newFlame(name: string): Flame {
  return { name, count: 0, callees: new Map() };
}

/** Adds one sample: a stack, outermost first. */
export function addStack(root: Flame, stack: readonly string[]): void {
  root.count++;
  let at = root;
  for (const name of stack) {
    let next = at.callees.get(name);
    if (next === undefined) at.callees.set(name, (next = newFlame(name)));
    next.count++;
    at = next;
  }
}

/** @param colour of a box, by its name. */
export function drawFlame(root: Flame, title: string, colour: (name: string) => string): string {
  const rows = depthOf(root);
  const height = top + rows * rowHeight + 12;
  const boxes: string[] = [];
  const place = (flame: Flame, x: number, depth: number): void => {
    const boxWidth = (flame.count / root.count) * width;
    if (boxWidth < smallestWidth) return;
    const y = height - 12 - (depth + 1) * rowHeight;
    const part = `${((100 * flame.count) / root.count).toFixed(1)} %`;
    const room = Math.floor((boxWidth - 6) / charWidth);
    const label =
      room >= 3 ? escapeXml(flame.name.length > room ? `${flame.name.slice(0, room - 1)}…` : flame.name) : "";
    boxes.push(
      `<g><title>${escapeXml(flame.name)}: ${part}</title>` +
        `<rect x="${x.toFixed(1)}" y="${y}" width="${Math.max(boxWidth - 0.5, 0.3).toFixed(1)}" height="${rowHeight - 1}" ` +
        `fill="${colour(flame.name)}"/>` +
        (label === "" ? "" : `<text x="${(x + 3).toFixed(1)}" y="${y + 12.5}">${label}</text>`) +
        "</g>",
    );
    let inner = x;
    // By name, so that what belongs together stands in the same place in each graph.
    for (const callee of [...flame.callees.values()].sort((a, b) => (a.name < b.name ? -1 : 1))) {
      place(callee, inner, depth + 1);
      inner += (callee.count / root.count) * width;
    }
  };
  place(root, 0, 0);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`,
    `<style>text { font: 11px monospace; fill: #111 } .title { font: 600 15px system-ui, sans-serif }</style>`,
    `<rect width="${width}" height="${height}" fill="#fbfaf7"/>`,
    `<text class="title" x="10" y="26">${escapeXml(title)}</text>`,
    ...boxes,
    "</svg>\n",
  ].join("\n");
}

function depthOf(flame: Flame): number {
  return 1 + Math.max(0, ...[...flame.callees.values()].map(depthOf));
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
