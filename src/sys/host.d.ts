// What the C host puts into the engine beside the language itself: the module "sys", and TextEncoder/TextDecoder
// (UTF-8 only), which generated messages and libraries expect. Used by the type check of the shim, not under Node.

declare module "sys" {
  const sys: import("./sys.d.ts").Sys;
  export default sys;
}

declare class TextEncoder {
  encode(text?: string): Uint8Array<ArrayBuffer>;
}

declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(bytes?: Uint8Array): string;
}
