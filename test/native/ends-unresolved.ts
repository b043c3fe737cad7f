// expect-exit: 1
// expect-stderr: the main module waits for something that can no longer happen
// A main module that waits for nothing that can come is a failure, not a quiet success.

await new Promise<void>(() => {});

export {};
