// The levels of a shim's log, in its own words (logrus's), the slightest first.

export const shimLogLevels = ["debug", "info", "warning", "error"] as const;
export type ShimLogLevel = (typeof shimLogLevels)[number];
