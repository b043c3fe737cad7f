// Standard streams: every byte, whoever reads when; end of file; what holds a stream and what does not.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Status } from "../../src/api/process.ts";
import { run } from "../../test/harness/command.ts";
import { FifoReader, FifoWriter, holdFifo, visitFifo } from "../../test/harness/fifo.ts";
import { patternBytes, PatternChecker } from "../../test/harness/pattern.ts";
import { until, within } from "../../test/harness/until.ts";
import { type Case, demand, same } from "../case.ts";
import type { Shim } from "../shim.ts";

const mib = 1 << 20;

async function printAll(shim: Shim, bytes: number, reading: "quick" | "slow" = "quick"): Promise<void> {
  const exec = await shim.exec(["/bin/payload", "both", String(bytes)], { output: "pattern", reading });
  await exec.out.allPattern(bytes, 20_000);
  await exec.err.allPattern(bytes, 20_000);
  same("the status", (await exec.wait()).exitStatus, 0);
  await exec.delete();
}

function idle(ground: Parameters<Case["run"]>[0]): Promise<Shim> {
  return ground.run(["/bin/sleep", "1000"]);
}

export const streamCases: readonly Case[] = [
  {
    id: "streams.sizes",
    title: "Output of any size arrives exactly",
    demand:
      "0, 1, 4095 to 4097, 65535 to 65537, and 1 MiB + 1 bytes on both streams, of a process that prints and exits, arrive to the byte.",
    why: "The last bytes of what a process printed before its exit were lost.",
    source: "reports containerd#770, concourse#6775, docker/cli#4338",
    async run(ground) {
      const shim = await idle(ground);
      for (const size of [0, 1, 4095, 4096, 4097, 65_535, 65_536, 65_537, mib + 1]) await printAll(shim, size);
    },
  },
  {
    id: "streams.of-init",
    title: "Output of an init that exits at once",
    demand: "1 MiB + 1 bytes of an init on both streams arrive to the byte, although it has exited.",
    why: "Jobs print their result and end.",
    source: "report containerd#770",
    async run(ground) {
      const shim = await ground.start(["/bin/payload", "both", String(mib + 1)]);
      const init = await shim.runInit({ output: "pattern" });
      await init.out.allPattern(mib + 1, 20_000);
      await init.err.allPattern(mib + 1, 20_000);
      same("the status", (await init.wait()).exitStatus, 0);
    },
  },
  {
    id: "streams.large",
    title: "64 MiB",
    demand: "64 MiB arrive to the byte.",
    why: "Backups and dumps are piped through execs.",
    source: "report containerd#770",
    async run(ground) {
      const shim = await idle(ground);
      const exec = await shim.exec(["/bin/payload", "pattern", String(64 * mib)], { output: "pattern" });
      await exec.out.allPattern(64 * mib, 25_000);
      same("the status", (await exec.wait()).exitStatus, 0);
    },
  },
  {
    id: "streams.many",
    title: "Short outputs, many times",
    demand: "40 execs, four at a time, of 100,000 bytes each lose nothing.",
    why: "Losses of the last bytes happen now and then, not always.",
    source: "reports containerd#770, docker/cli#4338",
    async run(ground) {
      const shim = await idle(ground);
      let left = 40;
      const worker = async (): Promise<void> => {
        while (left-- > 0) await printAll(shim, 100_000);
      };
      await Promise.all([worker(), worker(), worker(), worker()]);
    },
  },
  {
    id: "streams.slow-reader",
    title: "A slow reader",
    demand: "A reader that takes its time gets all of 4 MiB, also what was printed before the exit.",
    why: "Log collectors are slow under load.",
    source: "report containerd#770",
    async run(ground) {
      await printAll(await idle(ground), 4 * mib, "slow");
    },
  },
  {
    id: "streams.stalled-reader",
    title: "A reader that stalls",
    demand:
      "The process is held back and nothing is dropped; State answers meanwhile; when the reader goes on it gets all.",
    why: "Either memory grows without bound or output is lost otherwise.",
    source: "pipe(7); reports containerd#9342, #11511",
    async run(ground) {
      const shim = await idle(ground);
      const size = 4 * mib;
      const exec = await shim.exec(["/bin/payload", "pattern", String(size)], {
        output: "pattern",
        reading: "stalled",
      });
      for (let i = 0; i < 10; i++) same("State of the exec", (await exec.state()).status, Status.RUNNING);
      exec.out.read("quick");
      await exec.out.allPattern(size, 15_000);
      same("the status", (await exec.wait()).exitStatus, 0);
    },
  },
  {
    id: "streams.exit-with-a-stalled-reader",
    title: "Exit is told although a reader stalls",
    demand:
      "A process that has printed 30,000 bytes and exited is announced within 15 s, although nobody reads; then all bytes can be read.",
    why: "A log reader that hangs must not make a container look alive.",
    source: "containerd runc shim: the exit does not wait for the copy; report containerd#3457",
    async run(ground) {
      const shim = await idle(ground);
      const exec = await shim.exec(["/bin/payload", "pattern", "30000"], { output: "pattern", reading: "stalled" });
      same("the status", (await exec.wait(15_000)).exitStatus, 0);
      exec.out.read("quick");
      await exec.out.allPattern(30_000, 10_000);
    },
  },
  {
    id: "streams.reader-comes-back",
    title: "A reader that leaves and comes back",
    demand: "A reader that closes its end in the middle and opens it again has lost nothing of the stream.",
    why: "The daemon's restart is that to every container's log.",
    source: "containerd runc shim holds the other end of its FIFOs; CRI reopens logs",
    async run(ground) {
      const shim = await idle(ground);
      const size = 8 * mib + 1;
      const exec = await shim.exec(["/bin/payload", "pattern", String(size)], { output: "pattern", reading: "slow" });
      for (const visit of [1, 2, 3]) {
        await until(`${visit} MiB to have come`, 10_000, () => exec.out.count >= visit * mib);
        await exec.out.leave();
        exec.out.open();
      }
      exec.out.read("quick");
      await exec.out.allPattern(size, 15_000);
    },
  },
  {
    id: "streams.reader-after-the-exit",
    title: "A reader that comes after the exit",
    demand: "Bytes that nobody had read when the process exited can be read until Delete.",
    why: "The daemon may be away just then, and a job's result is in those bytes.",
    source: "fifo(7): bytes are gone when both ends are closed; reports moby#36559, docker/cli#4338",
    async run(ground) {
      const shim = await idle(ground);
      const exec = await shim.addExec(["/bin/payload", "pattern", "40000"], { output: "unread" });
      const leave = [exec.request.stdout, exec.request.stderr].map(holdFifo);
      await exec.start();
      for (const close of leave) close();
      same("the status", (await exec.wait()).exitStatus, 0);
      const checker = new PatternChecker();
      await until(
        "the bytes of the exited process",
        3_000,
        () => {
          checker.feed(visitFifo(exec.request.stdout, 4096).bytes);
          return checker.position >= 40_000;
        },
        () => `${checker.position} of 40000 came`,
      );
      checker.end(40_000);
    },
  },
  {
    id: "streams.waiting-reader-after-the-exit",
    title: "A reader that waits for a writer",
    demand:
      "A reader that opens the FIFO as programs do (open waits for a writer) after the exit gets the unread bytes and the end of file.",
    why: "`cat`, and containerd's own client when it is back, open it so; they would wait for ever.",
    source: "fifo(7): opening for reading waits for a writer; containerd/fifo: openFifo",
    async run(ground) {
      const shim = await idle(ground);
      const exec = await shim.addExec(["/bin/payload", "pattern", "40000"], { output: "unread" });
      const leave = [exec.request.stdout, exec.request.stderr].map(holdFifo);
      await exec.start();
      for (const close of leave) close();
      same("the status", (await exec.wait()).exitStatus, 0);
      const read = await run(["cat", exec.request.stdout], { deadlineMs: 4_000 }).catch(() => undefined);
      demand(read !== undefined, "a reader that opens the FIFO after the exit waits in vain for 4 s");
      const checker = new PatternChecker();
      checker.feed(read.stdoutBytes);
      checker.end(40_000);
    },
  },
  {
    id: "streams.no-reader-at-the-start",
    title: "Nobody has opened the FIFOs yet",
    demand:
      "Create and Start are answered although no client has opened the FIFOs; a reader who comes later gets the bytes.",
    why: "A client that dies between Create and opening hangs the shim's call, and with it the container's lock.",
    source: "fifo(7): open waits for the other side; robustness",
    async run(ground) {
      const shim = await ground.start(["/bin/sh", "-c", "echo words; exec sleep 1000"]);
      const init = await shim.create({ output: "unread" });
      await init.start();
      const reader = new FifoReader(init.request.stdout, true);
      ground.onClose(() => reader.close());
      await reader.untilText(/words/, 5_000);
    },
  },
  {
    id: "streams.end-before-delete",
    title: "End of file before Delete",
    demand: "Readers see the end of both streams when the process has ended, before anyone calls Delete.",
    why: "Clients wait for the end of file and only then call Delete.",
    source: "containerd client: cio.Wait before task.Delete",
    async run(ground) {
      const shim = await ground.start(["/bin/sh", "-c", "echo out; echo err >&2"]);
      const init = await shim.runInit({ output: "text" });
      await init.wait();
      same("stdout", await init.out.allText(3_000), "out\n");
      same("stderr", await init.err.allText(3_000), "err\n");
    },
  },
  {
    id: "streams.grandchild",
    title: "A grandchild holds the pipe",
    demand:
      "`sleep 1000 & echo ok` as an exec: its exit is told at once, Delete answers within 3 s, State answers meanwhile.",
    why: "Such execs (health checks, start scripts) hung for ever, and the shim's lock with them.",
    source: "reports kubernetes#44371, containerd#2823",
    async run(ground) {
      const shim = await idle(ground);
      const exec = await shim.exec(["/bin/payload", "hold", "1000", "5"], { output: "text" });
      await exec.out.untilText(/ok/);
      same("the status", (await exec.wait(3_000)).exitStatus, 5);
      const deleted = exec.delete();
      await shim.call("State", {}, { deadlineMs: 2_000 });
      await within("the answer to Delete of the exec", 3_000, deleted);
    },
  },
  {
    id: "streams.none",
    title: "No streams",
    demand: "Without any stream the process runs with /dev/null.",
    why: "Detached containers and probes have none.",
    source: "api/runtime/task/v2/shim.proto: empty paths",
    async run(ground) {
      const shim = await ground.run(["/bin/sh", "-c", "echo nowhere; read x; exit 6"]);
      same("the status", (await shim.call("Wait")).exitStatus, 6);
    },
  },
  {
    id: "streams.only-stdout",
    title: "Only stdout",
    demand: "With a path for stdout alone, stdout arrives and stderr goes nowhere.",
    why: "Clients ask for some of the three.",
    source: "api/runtime/task/v2/shim.proto: each path may be empty",
    async run(ground) {
      const shim = await ground.start(["/bin/sh", "-c", "echo out; echo err >&2; exit 3"]);
      const init = await shim.runInit({ output: "text", noStderr: true });
      same("stdout", await init.out.allText(5_000), "out\n");
      same("the status", (await init.wait()).exitStatus, 3);
    },
  },
  {
    id: "streams.file",
    title: "file:// as stdout",
    demand: "Output goes to the file, which is made with its folders if needed and appended to.",
    why: "`ctr run --log-uri file://...`, and nerdctl's loggers.",
    source: "containerd cio.LogFile; runc shim process/io.go",
    async run(ground) {
      const path = join(ground.dir, "logs/below/out.log");
      for (const word of ["one", "two"]) {
        const shim = await ground.start(["/bin/echo", word]);
        const uri = `file://${path}`;
        await shim.create({}, { stdout: uri, stderr: uri });
        await shim.call("Start");
        await shim.call("Wait");
        await until(`${word} in the file`, 3_000, () => existsSync(path) && readFileSync(path, "utf8").includes(word));
        await shim.end();
      }
      same("the file", readFileSync(path, "utf8"), "one\ntwo\n");
    },
  },
  {
    id: "streams.logger",
    title: "binary:// as stdout",
    demand:
      "The program gets stdout on fd 3 and stderr on fd 4, closes 5 when it is ready, and has CONTAINER_ID and CONTAINER_NAMESPACE.",
    why: "nerdctl logs, and logging drivers of others.",
    source: "containerd core/runtime/v2/logging; cio.BinaryIO",
    async run(ground) {
      const dir = join(ground.dir, "logger");
      mkdirSync(dir);
      const program = join(dir, "program");
      const lines = [
        "#!/bin/sh",
        `cd ${dir}`,
        'echo "$CONTAINER_ID $CONTAINER_NAMESPACE $*" > told',
        "cat <&3 >> out 5>&- & cat <&4 >> err 5>&- &",
        "exec 5>&-",
        // Some shims send SIGTERM where others close the pipes.
        "trap 'sleep 0.2; exit' TERM",
        "wait",
        "",
      ];
      writeFileSync(program, lines.join("\n"), { mode: 0o755 });
      const shim = await ground.start(["/bin/sh", "-c", "echo out; echo err >&2; sleep 0.3"]);
      const uri = `binary://${program}?key=value`;
      await shim.create({}, { stdout: uri, stderr: uri });
      await shim.call("Start");
      await shim.call("Wait");
      const read = (name: string): string => (existsSync(join(dir, name)) ? readFileSync(join(dir, name), "utf8") : "");
      await until("both streams at the logger", 5_000, () => read("out") === "out\n" && read("err") === "err\n");
      same("what the logger was told", read("told"), `${shim.id} ${ground.namespace} key value\n`);
      await shim.call("Delete");
    },
  },
  {
    id: "streams.stdin",
    title: "stdin to the byte, and CloseIO",
    demand:
      "1 MiB + 1 bytes written to stdin and CloseIO right behind them: the process reads them all and then the end of file.",
    why: "`kubectl cp` and pipes into execs.",
    source: "api/runtime/task/v2/shim.proto, CloseIO; containerd client's stdinCloser",
    async run(ground) {
      const shim = await idle(ground);
      const exec = await shim.exec(["/bin/payload", "sink"], { stdin: true, output: "text" });
      await exec.stdin.open();
      await exec.stdin.write(patternBytes(mib + 1));
      await exec.closeStdin();
      same("what the process counted", await exec.out.allText(10_000), `${mib + 1} right\n`);
      same("the status", (await exec.wait()).exitStatus, 0);
    },
  },
  {
    id: "streams.stdin-client-leaves",
    title: "A client that leaves is no end of file",
    demand: "When the writer of stdin goes away without CloseIO, the process goes on, and another writer can come.",
    why: "Detaching from a container must not end its shell.",
    source: "containerd runc shim holds the write end until CloseIO",
    async run(ground) {
      const shim = await ground.start(["/bin/payload", "sink"]);
      const init = await shim.runInit({ stdin: true, output: "text" });
      const bytes = patternBytes(10);
      await init.stdin.open();
      await init.stdin.write(bytes.subarray(0, 4));
      await init.stdin.close();
      for (let i = 0; i < 10; i++) same("State after the client left", (await init.state()).status, Status.RUNNING);
      const second = new FifoWriter(init.request.stdin);
      await second.open();
      await second.write(bytes.subarray(4));
      await second.close();
      await shim.call("CloseIO", { stdin: true });
      same("what the process counted", await init.out.allText(5_000), "10 right\n");
    },
  },
];
