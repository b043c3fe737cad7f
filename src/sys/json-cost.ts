// How much memory a text of JSON would take as values. `{},` is three bytes of text and more than a hundred of heap, so a
// text of allowed length can be more than the engine has; what is that costly is refused before it is parsed.

/** Of one text. The specs of real containers have some thousands. */
const mostValues = 100_000;
/** Shorter texts cannot hold too many. */
const freeCharacters = 2 * mostValues;
/** One of these stands before each value but the first; they may also stand in strings, where they cost nothing. */
const marks = [",", "[", "{"];

/** Whether JSON.parse(text) may give more values than the heap is sure to have room for. */
export function isCostlyJson(text: string): boolean {
  if (text.length <= freeCharacters) return false;
  let values = 0;
  for (const mark of marks) {
    for (let at = text.indexOf(mark); at >= 0; at = text.indexOf(mark, at + 1)) {
      if (++values > mostValues) return true;
    }
  }
  return false;
}
