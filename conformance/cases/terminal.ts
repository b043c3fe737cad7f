// Terminals: of init and of execs, their size, and their end.

import { type Case, demand, same } from "../case.ts";
import { until } from "../../test/harness/until.ts";

export const terminalCases: readonly Case[] = [
  {
    id: "terminal.init",
    title: "A container with a terminal",
    demand:
      "Its process has a terminal, what is typed arrives, what it prints comes on stdout alone, and the end of file with its end.",
    why: "`docker run -it`, `kubectl run -it`.",
    source: "api/runtime/task/v2/shim.proto; runc docs/terminals.md",
    async run(ground) {
      const script = "tty; read word; echo got $word; exit 4";
      const shim = await ground.start(["/bin/sh", "-c", script], (spec) => {
        spec.process.terminal = true;
      });
      const init = await shim.runInit({ terminal: true, stdin: true, output: "text" });
      await init.out.untilText(/\/dev\/(pts\/\d|console)/);
      await init.stdin.open();
      await init.stdin.write("words\n");
      await init.out.untilText(/got words\r\n/);
      same("the status", (await init.wait()).exitStatus, 4);
      await init.out.allText(3_000);
      demand((await init.state()).terminal, "State does not tell the terminal");
    },
  },
  {
    id: "terminal.resize",
    title: "Resize after the start",
    demand: "ResizePty changes the size, and the process gets SIGWINCH.",
    why: "Editors and pagers in a terminal.",
    source: "api/runtime/task/v2/shim.proto, ResizePty; ioctl_tty(2)",
    async run(ground) {
      const shim = await ground.start(["/bin/payload", "window", "2"], (spec) => {
        spec.process.terminal = true;
      });
      const init = await shim.runInit({ terminal: true, output: "text" });
      await init.out.untilText(/window/);
      await shim.call("ResizePty", { width: 101, height: 41 });
      await init.out.untilText(/window 41 101/, 3_000);
      await shim.call("ResizePty", { width: 102, height: 42 });
      await init.out.untilText(/window 42 102/, 3_000);
      same("the status", (await init.wait()).exitStatus, 0);
    },
  },
  {
    id: "terminal.resize-before-start",
    title: "Resize between Create and Start",
    demand: "The size that ResizePty sets between Create and Start is the first that init sees.",
    why: "Clients resize at once; a shell that starts with 0 by 0 draws wrongly.",
    source: "containerd client and ctr: resize follows Create",
    async run(ground) {
      const shim = await ground.start(["/bin/payload", "window", "0"], (spec) => {
        spec.process.terminal = true;
      });
      const init = await shim.create({ terminal: true, output: "text" });
      await shim.call("ResizePty", { width: 91, height: 33 });
      await init.start();
      await init.out.untilText(/window 33 91/, 5_000);
    },
  },
  {
    id: "terminal.exec",
    title: "An exec with a terminal",
    demand: "The same for an exec: a terminal, resize, input, status.",
    why: "`kubectl exec -it`.",
    source: "api/runtime/task/v2/shim.proto",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const exec = await shim.exec(["/bin/payload", "window", "1"], { terminal: true, output: "text" });
      await exec.out.untilText(/window/);
      await shim.call("ResizePty", { execId: exec.execId, width: 61, height: 11 });
      await exec.out.untilText(/window 11 61/, 3_000);
      same("the status", (await exec.wait()).exitStatus, 0);
      await exec.delete();
    },
  },
  {
    id: "terminal.exec-resize-before-start",
    title: "Resize of an exec before its Start",
    demand:
      "The size that is set before the exec's Start is the first it sees, or the call is refused; it is not accepted and lost.",
    why: "`ctr tasks exec -t` sends the size before the start; the shell then had 0 by 0.",
    source: "containerd cmd/ctr: tty resize before start; ResizePty",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const exec = await shim.addExec(["/bin/payload", "window", "0"], { terminal: true, output: "text" });
      const isAccepted = await shim.call("ResizePty", { execId: exec.execId, width: 70, height: 20 }).then(
        () => true,
        () => false,
      );
      await exec.start();
      const [shown] = await exec.out.untilText(/window \d+ \d+/, 5_000);
      if (isAccepted) same("the first size", shown, "window 20 70");
    },
  },
  {
    id: "terminal.output-to-the-end",
    title: "The last output of a terminal",
    demand: "40 kB that a process prints to its terminal before it exits arrive whole.",
    why: "The kernel tells the end of a terminal with EIO, and what was buffered is easily lost.",
    source: "pty(7); reports containerd#770, moby#35865",
    async run(ground) {
      const script =
        "i=0; while [ $i -lt 1000 ]; do echo 0123456789012345678901234567890123456; i=$((i+1)); done; echo done";
      const shim = await ground.start(["/bin/sh", "-c", script], (spec) => {
        spec.process.terminal = true;
      });
      const init = await shim.runInit({ terminal: true, output: "text" });
      await init.wait();
      const text = await init.out.allText(5_000);
      same("the number of lines", text.split("\r\n").length, 1002);
      demand(text.endsWith("done\r\n"), "the last line is missing");
    },
  },
  {
    id: "terminal.outlives-its-reader",
    title: "A terminal whose client goes away",
    demand: "The process goes on when the reader of its terminal has gone, and a reader who comes reads on.",
    why: "The daemon's restart must not hang up on anyone.",
    source: "tty_ioctl, SIGHUP on the last close of the master",
    async run(ground) {
      const script = "echo up; while :; do echo tick; sleep 0.05; done";
      const shim = await ground.start(["/bin/sh", "-c", script], (spec) => {
        spec.process.terminal = true;
      });
      const init = await shim.runInit({ terminal: true, output: "text" });
      await init.out.untilText(/up/);
      await init.out.leave();
      for (let i = 0; i < 5; i++) await shim.call("State");
      const before = init.out.count;
      init.out.open();
      await until("more to come", 5_000, () => init.out.count > before);
    },
  },
];
