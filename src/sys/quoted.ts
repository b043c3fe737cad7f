// Texts that came from outside, for an error or a line of the log: one line and not long, whatever was sent.

const longest = 256;

/** The text as JSON writes it; of a long one the beginning, and how long it is. */
export function quoted(text: string): string {
  if (text.length <= longest) return JSON.stringify(text);
  return `${JSON.stringify(text.slice(0, longest / 2))}... (${text.length} characters)`;
}
