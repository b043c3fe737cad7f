// Name and version of this program, as -v, -info and the log tell them.

// Put in by the build (scripts/build-shim.mjs), from package.json and git.
declare const MOOR_VERSION: string | undefined;
declare const MOOR_REVISION: string | undefined;

export const programName = "containerd-shim-moor-v2";

/** The runtime's name in containerd. */
export const runtimeName = "io.containerd.moor.v2";

/** "1.2.3"; "0.0.0" when no build has said it (unit tests). */
export const version: string = typeof MOOR_VERSION === "undefined" ? "0.0.0" : MOOR_VERSION;

/** The commit it was built from, "-dirty" behind it when the files differed from it; "" when the build knew none. */
export const revision: string = typeof MOOR_REVISION === "undefined" ? "" : MOOR_REVISION;
