// Figures as people read them: bytes with a unit, times as so long ago, shares in per cent.

const byteUnits = ["B", "KiB", "MiB", "GiB", "TiB"] as const;
const spans = [
  ["d", 86_400],
  ["h", 3_600],
  ["m", 60],
  ["s", 1],
] as const;

/** Three digits at most, and a unit of 1024: "812KiB", "1.7MiB". */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < byteUnits.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)}${byteUnits[unit]}`;
}

/** How long ago an RFC 3339 time was, in its largest two units: "3d4h", "12m", "5s". */
export function ago(instant: string, nowMs: number): string {
  let seconds = Math.max(Math.floor((nowMs - Date.parse(instant)) / 1000), 0);
  const first = spans.findIndex(([, length]) => seconds >= length);
  if (first < 0) return "0s";
  let text = "";
  for (const [unit, length] of spans.slice(first, first + 2)) {
    const count = Math.floor(seconds / length);
    seconds -= count * length;
    if (count > 0) text += `${count}${unit}`;
  }
  return text;
}

/** "12.3%". */
export function percentText(share: number): string {
  return `${share.toFixed(1)}%`;
}
