// A tar archive in memory, in the POSIX ustar format (pax(1)): regular files only, enough for a support bundle.

const blockBytes = 512;

export interface TarFile {
  /** Relative, at most 100 bytes. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** The archive of these files. @throws RangeError for a name that does not fit. */
export function tarOf(files: readonly TarFile[], modifiedSeconds: number): Uint8Array {
  const parts = files.flatMap(({ name, bytes }) => {
    const rest = (blockBytes - (bytes.length % blockBytes)) % blockBytes;
    return [headerOf(name, bytes.length, modifiedSeconds), Buffer.from(bytes), Buffer.alloc(rest)];
  });
  // Two empty blocks are the end.
  return Buffer.concat([...parts, Buffer.alloc(2 * blockBytes)]);
}

function headerOf(name: string, size: number, modifiedSeconds: number): Buffer {
  if (Buffer.byteLength(name) > 100) throw new RangeError(`the name ${name} is too long for an archive`);
  const header = Buffer.alloc(blockBytes);
  const octal = (value: number, at: number, digits: number): void => {
    header.write(`${value.toString(8).padStart(digits, "0")}\0`, at);
  };
  header.write(name, 0);
  octal(0o600, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(size, 124, 11);
  octal(Math.floor(modifiedSeconds), 136, 11);
  // The sum is made with spaces in its own place.
  header.write("        ", 148);
  header.write("0", 156);
  header.write("ustar\0", 257);
  header.write("00", 263);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return header;
}
