// What host.ts imports on demand. Not a test by itself.

let calls = 0;

export function next(): number {
  return ++calls;
}
