// The streams of a process that had them before this image of the program: made again from plain data, fd by fd and pump by
// pump. Loaded after a crash only.

import type { OwnedProcess } from "../reaper/reaper.ts";
import type { Pid } from "../sys/sys.d.ts";
import { Logger } from "./logger.ts";
import { Openings, type StdioContext, type StdioSetup } from "./openings.ts";
import { type KeptStdio, Stdio } from "./stdio.ts";
import { foundFd, Stream } from "./stream.ts";

/** @param adopt finds a child that is ours again. */
export function resumeStdio(
  context: StdioContext,
  setup: StdioSetup,
  kept: KeptStdio,
  adopt: (pid: Pid) => OwnedProcess,
): Stdio {
  const openings = new Openings(context, setup);
  for (const { survives, ...each } of kept.streams) {
    const stream = new Stream(context, each.name, each.uri, {});
    stream.goOn(each);
    openings.streams.push({ stream, survives });
  }
  const { logger } = kept;
  if (logger !== undefined) openings.logger = new Logger(context, adopt(logger.pid as Pid), logger.file);
  return new Stdio(context, setup, openings, { terminal: foundFd(context.sys, kept.terminal), size: kept.size });
}
