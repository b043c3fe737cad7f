// The shim's entry, and the only file that imports "sys": reads the command line, runs one action, and turns what it
// throws into one sentence on standard error and exit code 1. Modules that an action alone needs are loaded when it runs.

import sys from "sys";
import { MoorError } from "../sys/error.ts";
import type { Fd } from "../sys/sys.d.ts";
import { parseArguments, type ShimArguments } from "./arguments.ts";
import { start } from "./start.ts";
import { programName, version } from "./version.ts";

const usage = `usage: ${programName} -namespace NS -id ID [-address ADDRESS] [-publish-binary FILE] [-debug] start
       ${programName} -namespace NS -id ID -bundle DIR [-address ADDRESS] [-debug] delete
       ${programName} -info
       ${programName} -v
containerd calls it: a runtime of the type io.containerd.moor.v2 is this program.
`;

try {
  const kept = sys.kept();
  if (kept === undefined) await run(parseArguments(sys.args.slice(1)));
  else (await import("./resume.ts")).resume(sys, kept);
} catch (thrown) {
  write(2, sys.encodeUtf8(`${programName}: ${MoorError.from(thrown).message}\n`));
  sys.exit(1);
}

/** Returns when the action is over; a forked shim returns too, and lives on in the event loop. */
async function run(args: ShimArguments): Promise<void> {
  switch (args.action) {
    case "start": {
      const answer = await start(sys, args);
      if (answer !== undefined) end(answer);
      return;
    }
    case "delete": {
      const { deleteContainer } = await import("./delete.ts");
      end(await deleteContainer(sys, args));
      return;
    }
    case "info": {
      const { describeRuntime } = await import("./info.ts");
      end(await describeRuntime(sys, args));
      return;
    }
    case "version":
      end(sys.encodeUtf8(`${programName} ${version}\n`));
      return;
    case "help":
      end(sys.encodeUtf8(usage));
  }
}

/** Success: the answer, and nothing else, on standard output. */
function end(answer: Uint8Array): void {
  write(1, answer);
  sys.exit(0);
}

function write(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    const count = sys.write(fd as Fd, bytes, done, bytes.length - done);
    // Nobody reads it: there is nobody else to be told.
    if (count < 0) return;
    done += count;
  }
}
