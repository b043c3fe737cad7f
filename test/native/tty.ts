// What sys knows of terminals: which fd is one, and its size.

import sys from "sys";
import { EBADF } from "../../src/sys/errno.ts";
import { O_NOCTTY, O_RDWR } from "../../src/sys/flags.ts";
import type { Errno, Fd } from "../../src/sys/sys.d.ts";
import { check, equal, fails, finish, good, openFds, readAll, reaped, typeError } from "./checks.ts";

const ENOTTY = -25 as Errno;
const noFd = 999 as Fd;
const warm = good(sys.eventfd(), "eventfd");
good(
  sys.pollStart(warm, 0, () => undefined),
  "pollStart",
); // the loop's own fd is there from now on
good(sys.pollStop(warm), "pollStop");
good(sys.close(warm), "close");
const fdsBefore = openFds();

await check("a terminal: its size is 0 by 0 at first, then what was set; both by 16 bits", () => {
  const master = good(sys.open("/dev/ptmx", O_RDWR | O_NOCTTY, 0), "open");
  equal(sys.isTty(master), true);
  equal(sys.ttySize(master), { rows: 0, columns: 0 });
  equal(sys.ttySetSize(master, 24, 80), 0);
  equal(sys.ttySize(master), { rows: 24, columns: 80 });
  equal(sys.ttySetSize(master, 70_000, -1), 0);
  equal(sys.ttySize(master), { rows: 65_535, columns: 0 });
  good(sys.close(master), "close");
});

await check("no terminal: ENOTTY, a closed fd: EBADF", () => {
  const [readFd, writeFd] = good(sys.pipe(0), "pipe");
  equal([sys.isTty(readFd), sys.isTty(noFd), sys.isTty(-1 as Fd)], [false, false, false]);
  fails(sys.ttySize(readFd), ENOTTY, "ttySize of a pipe");
  fails(sys.ttySetSize(writeFd, 1, 1), ENOTTY, "ttySetSize of a pipe");
  fails(sys.ttySize(noFd), EBADF, "ttySize");
  fails(sys.ttySetSize(noFd, 1, 1), EBADF, "ttySetSize");
  good(sys.close(readFd), "close");
  good(sys.close(writeFd), "close");
});

await check("a program on the terminal is told of a new size, and sees it", async () => {
  // script(1) makes the terminal; the program says which one it is.
  const program = "trap 'stty size; exit 0' WINCH; tty; while :; do read -r line; done";
  const [stdin, hold] = good(sys.pipe(0), "pipe");
  const [output, stdout] = good(sys.pipe(0), "pipe");
  const fds = [
    { target: 0, source: stdin },
    { target: 1, source: stdout },
  ];
  const argv = ["script", "-qec", program, "/dev/null"];
  const script = good(sys.spawn({ file: "script", argv, env: ["PATH=/usr/bin:/bin", "SHELL=/bin/sh"], fds }), "spawn");
  for (const fd of [stdin, stdout]) good(sys.close(fd), "close");
  const bytes = new Uint8Array(100);
  let name = "";
  while (!name.endsWith("\n")) {
    name += sys.decodeUtf8(bytes.subarray(0, good(sys.read(output, bytes, 0, bytes.length), "read")));
  }
  const terminal = good(sys.open(name.trim(), O_RDWR | O_NOCTTY, 0), `open ${name}`);
  equal(sys.isTty(terminal), true);
  equal(sys.ttySetSize(terminal, 7, 9), 0);
  good(sys.close(terminal), "close");
  equal(readAll(output).trim(), "7 9");
  good(sys.close(hold), "close");
  equal((await reaped(script)).status, 0);
});

await check("wrong types are TypeErrors", () => {
  typeError(() => sys.isTty("0" as never), "a string for a fd");
  typeError(() => sys.ttySize(undefined as never), "no fd");
  typeError(() => sys.ttySetSize(0 as Fd, 1.5, 1), "a fraction for rows");
  typeError(() => sys.ttySetSize(0 as Fd, 1, "80" as never), "a string for columns");
});

await check("nothing is left open", () => equal(openFds(), fdsBefore, "open fds"));

finish();
