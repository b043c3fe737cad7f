// The program as a daemon calls it: `start` in the forms of each line of containerd, the socket, groups, `-info`, `-v`.

import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { BootstrapParams } from "../../src/api/bootstrap.ts";
import { Options } from "../../src/api/runc-options.ts";
import { RuntimeInfo } from "../../src/api/types.ts";
import { run } from "../../test/harness/command.ts";
import { isAlive, oomScoreAdjOf, processInfo } from "../../test/harness/processes.ts";
import { until } from "../../test/harness/until.ts";
import { type Case, demand, doesNotApply, same, shorten } from "../case.ts";
import type { Ground, SpecChange } from "../ground.ts";
import { runAction } from "../shim.ts";

/** An Any with runtime options, as containerd 1.6 to 2.2 send it on stdin. */
function optionsInput(): Buffer {
  const value = Options.encode(Options.decode(new Uint8Array())).finish();
  const typeUrl = Buffer.from("containerd.runc.v1.Options");
  return Buffer.concat([Buffer.from([0x0a, typeUrl.length]), typeUrl, Buffer.from([0x12, value.length]), value]);
}

function grouped(ground: Ground): SpecChange {
  const group = ground.newId("group");
  return (spec) => {
    spec.annotations["io.containerd.runc.v2.group"] = group;
  };
}

async function demandOneShim(ground: Ground, change: SpecChange): Promise<void> {
  const first = await ground.start(["/bin/sleep", "1000"], change);
  await first.create();
  const pid = await first.pid();
  const second = await ground.start(["/bin/sleep", "1000"], change);
  same("the second start's address", second.answer.socketPath, first.answer.socketPath);
  same("the pid behind it", await second.pid(), pid);
  await second.create();
  same("the first container's State after the second's Create", (await first.call("State")).id, first.id);
}

export const startCases: readonly Case[] = [
  {
    id: "start.plain",
    title: "start as containerd 1.6 and CRI-O call it",
    demand:
      "With empty standard input and no MAX_SHIM_VERSION, `start` prints a plain address, and task v2 is served there.",
    why: "They take the whole output for the address; JSON fails with `dial unix {...`.",
    source: "containerd 1.6 runtime/v2/binary.go: the output is the address; CRI-O's runtime_vm.go",
    async run(ground) {
      const shim = await ground.startIn(ground.bundle(["/bin/true"]));
      same("the form of the answer", shim.answer.form, "plain");
      await shim.call("Connect");
    },
  },
  {
    id: "start.max-version-2",
    title: "start as containerd 1.7 calls it",
    demand:
      "With MAX_SHIM_VERSION=2 and an Any of options on standard input, the answer is a plain address or JSON of version 2.",
    why: '1.7 refuses version 3: "unsupported shim version". Nodes meet both while they are upgraded.',
    source: "containerd 1.7 runtime/v2/shim.go: parseStartResponse",
    async run(ground) {
      const environment = { MAX_SHIM_VERSION: "2", NAMESPACE: ground.namespace, GRPC_ADDRESS: ground.daemon.address };
      const bundle = ground.bundle(["/bin/true"]);
      const shim = await ground.startIn(bundle, { environment, input: optionsInput() });
      same("the version in the answer", shim.answer.version, 2);
      await shim.call("Connect");
    },
  },
  {
    id: "start.version-2-or-3",
    title: "start as containerd 2.0 to 2.2 call it",
    demand:
      "The answer is a plain address or JSON of version 2 or 3 with protocol ttrpc, and the Task service of that version is served.",
    why: "containerd speaks the version that the answer names.",
    source: "containerd 2.x core/runtime/v2/shim.go: parseStartResponse, NewTaskClient; report containerd#10888",
    async run(ground) {
      const environment = { MAX_SHIM_VERSION: "2", NAMESPACE: ground.namespace, GRPC_ADDRESS: ground.daemon.address };
      const bundle = ground.bundle(["/bin/true"]);
      const shim = await ground.startIn(bundle, { environment, input: optionsInput() });
      demand([2, 3].includes(shim.answer.version), `the version in the answer is ${shim.answer.version}`);
      same("the protocol in the answer", shim.answer.protocol, "ttrpc");
      await shim.create();
      same("the id in State", (await shim.call("State")).id, shim.id);
    },
  },
  {
    id: "start.bootstrap-params",
    title: "start as containerd 2.3 calls it",
    demand: "With BootstrapParams on standard input, the answer is a BootstrapResult, JSON or a plain address.",
    why: "2.3 sends them always; it reads all three forms.",
    source: "containerd 2.3 api/bootstrap.proto and core/runtime/v2/shim.go",
    async run(ground) {
      const bundle = ground.bundle(["/bin/true"]);
      const params = BootstrapParams.encode({
        ...BootstrapParams.decode(new Uint8Array()),
        instanceId: bundle.id,
        namespace: ground.namespace,
        containerdTtrpcAddress: `${ground.daemon.address}.ttrpc`,
        containerdGrpcAddress: ground.daemon.address,
      });
      const shim = await ground.startIn(bundle, { input: Buffer.from(params.finish()) });
      same("the protocol in the answer", shim.answer.protocol, "ttrpc");
      await shim.call("Connect");
    },
  },
  {
    id: "start.prints-only-the-answer",
    title: "start prints nothing but its answer",
    demand: "A start that succeeds writes nothing to standard error, also with -debug.",
    why: "The daemon reads standard output and error as one text.",
    source: "containerd runtime/v2/binary.go: cmd.CombinedOutput",
    async run(ground) {
      for (const flags of [[], ["-debug"]]) {
        const bundle = ground.bundle(["/bin/true"]);
        const { stderr, stdout, status } = await runAction(ground, bundle, [...flags, "start"]);
        same("the exit status of start", status, 0);
        same("what start writes to standard error", stderr, "");
        demand(stdout !== "", "start prints nothing");
        await (await ground.startIn(bundle)).end();
      }
    },
  },
  {
    id: "start.returns",
    title: "start ends while the shim lives",
    demand: "Within 5 s `start` has ended and its standard output and error are closed, although the shim runs on.",
    why: "The daemon waits for the end of both; one that the shim inherits hangs every container start.",
    source: "containerd runtime/v2/binary.go; Go's exec.Cmd waits for the pipes",
    async run(ground) {
      const began = performance.now();
      const shim = await ground.start(["/bin/true"]);
      const ms = performance.now() - began;
      demand(ms < 5_000, `start took ${Math.round(ms)} ms until its output was closed`);
      demand(isAlive(await shim.pid()), "the shim is gone when start has ended");
    },
  },
  {
    id: "start.socket-is-private",
    title: "Socket and folder are root's alone",
    demand: "The socket's mode is 0600, its folder's lets nobody else in or write, and both belong to the caller.",
    why: "Who can connect is root on the node.",
    source: "containerd GHSA-36xw-fx78-c5r4 (CVE-2020-15257); runtime/v2/shim/util_unix.go",
    async run(ground) {
      const { answer } = await ground.start(["/bin/true"]);
      const socket = statSync(answer.socketPath);
      same("the mode of the socket", (socket.mode & 0o777).toString(8), "600");
      same("the socket's owner", socket.uid, 0);
      const folder = statSync(dirname(answer.socketPath));
      demand((folder.mode & 0o066) === 0, `the folder's mode is ${(folder.mode & 0o777).toString(8)}`);
    },
  },
  {
    id: "start.address-file",
    title: "The bundle's address file",
    demand: "After start or Create the bundle's file `address` holds the address (for a shim that answers version 2).",
    why: "containerd 1.6 and 1.7 find the shim by it when they come back.",
    source: "containerd 1.6 and 1.7 runtime/v2/shim.go: loadShim reads the file",
    async run(ground) {
      const shim = await ground.start(["/bin/true"]);
      if (shim.answer.version >= 3) doesNotApply("the daemons of version 3 write bootstrap.json themselves");
      await shim.create();
      const file = join(shim.bundle.dir, "address");
      demand(existsSync(file), "there is no file address in the bundle");
      same("the file address", readFileSync(file, "utf8"), `unix://${shim.answer.socketPath}`);
    },
  },
  {
    id: "start.again",
    title: "start of a shim that runs",
    demand: "A second start of the same id answers the same address and makes no second shim.",
    why: "The daemon's first call may have timed out; two shims of one id would fight over the container.",
    source: "containerd runtime/v2/runc manager: a socket in use that answers is returned",
    async run(ground) {
      const shim = await ground.start(["/bin/true"]);
      const pid = await shim.pid();
      const again = await ground.startAnswer(shim.bundle);
      same("the second address", again.socketPath, shim.answer.socketPath);
      same("the pid behind it", await shim.pid(), pid);
    },
  },
  {
    id: "start.group",
    title: "Grouping by annotation",
    demand:
      "A start with the same io.containerd.runc.v2.group annotation answers the first shim's address; both containers are served.",
    why: "One shim for each pod and not for each container.",
    source: "containerd runtime/v2/README.md; runc manager's groupLabels",
    run: (ground) => demandOneShim(ground, grouped(ground)),
  },
  {
    id: "start.group-socket",
    title: "The socket of a group",
    demand: "After the last container's Delete, Shutdown and `delete`, the group's socket is gone.",
    why: "It is named by the group and not by the container, and is easily forgotten; one stays for each group.",
    source: "reports containerd#10192, #11292",
    async run(ground) {
      const shim = await ground.run(["/bin/true"], grouped(ground));
      await shim.call("Wait");
      await shim.call("Delete");
      await shim.shutdown();
      await shim.deleteAction();
      shim.isEnded();
      demand(!existsSync(shim.answer.socketPath), "the socket is left");
    },
  },
  {
    id: "start.group-by-sandbox",
    title: "Grouping by CRI's sandbox id",
    demand:
      "Grouping works with io.kubernetes.cri.sandbox-id too, which the CRI plugin sets to the id of the pod's first container.",
    why: "It is the annotation that Kubernetes' containers have.",
    source: "containerd runc manager's groupLabels",
    run: (ground) => demandOneShim(ground, ground.pod()),
  },
  {
    id: "start.stale-socket",
    title: "A stale socket is replaced",
    demand: "After a shim was killed, start of the same id removes the socket that nobody answers and serves.",
    why: "Stale sockets kept containers and a whole daemon from starting.",
    source: "report containerd#7394",
    async run(ground) {
      const bundle = ground.bundle(["/bin/true"]);
      const first = await ground.startIn(bundle);
      const pid = await first.kill();
      first.isEnded();
      const second = await ground.startIn(bundle);
      demand((await second.pid()) !== pid, "the killed shim answers");
    },
  },
  {
    id: "start.many-at-once",
    title: "Many starts of one group at once",
    demand: "Four starts of one group that meet a stale socket make one shim, and all answer its address.",
    why: "CRI starts a pod's containers concurrently; a second shim is one that nobody ends.",
    source: "race in containerd's runc manager between removing and binding the socket; report containerd#12344",
    async run(ground) {
      const change = grouped(ground);
      for (let round = 0; round < 3; round++) {
        const stale = await ground.start(["/bin/true"], change);
        await stale.kill();
        stale.isEnded();
        const starts = await Promise.allSettled([1, 2, 3, 4].map(() => ground.start(["/bin/true"], change)));
        const failed = starts.find(({ status }) => status === "rejected");
        demand(
          failed === undefined,
          () => `a start fails: ${shorten(String((failed as PromiseRejectedResult).reason))}`,
        );
        const shims = starts.flatMap((start) => (start.status === "fulfilled" ? [start.value] : []));
        const pids = new Set(await Promise.all(shims.map((shim) => shim.pid())));
        same("the number of shims", pids.size, 1);
        for (const shim of shims) await shim.end();
      }
    },
  },
  {
    id: "start.no-events-address",
    title: "Without TTRPC_ADDRESS",
    demand: "Without TTRPC_ADDRESS there are no events, and the container's life is the same.",
    why: "Daemons other than containerd, and people at a shell, have no event service.",
    source: "containerd runtime/v2/shim: the publisher is made for TTRPC_ADDRESS",
    async run(ground) {
      const environment = { TTRPC_ADDRESS: undefined };
      const shim = await ground.startIn(ground.bundle(["/bin/sh", "-c", "exit 4"]), { environment });
      await shim.create();
      await shim.call("Start");
      same("the status", (await shim.call("Wait")).exitStatus, 4);
      same("the status of Delete", (await shim.call("Delete")).exitStatus, 4);
    },
  },
  {
    id: "start.no-log",
    title: "Without the bundle's log",
    demand: "Without the log FIFO in the bundle, start works and the container runs.",
    why: "A log that cannot be written must never cost a container.",
    source: "robustness: containerd makes the FIFO, other callers may not",
    async run(ground) {
      const bundle = ground.bundle(["/bin/sh", "-c", "exit 4"]);
      rmSync(join(bundle.dir, "log"));
      const shim = await ground.startIn(bundle);
      await shim.create();
      await shim.call("Start");
      same("the status", (await shim.call("Wait")).exitStatus, 4);
    },
  },
  {
    id: "start.own-session",
    title: "The shim is a daemon of its own",
    demand: "The shim is not the caller's child and leads a process group of its own.",
    why: "A daemon that ends, or Ctrl-C at a shell, must not take the shims with it.",
    source: "containerd runtime/v2/runc manager: Setpgid",
    async run(ground) {
      const pid = await (await ground.start(["/bin/true"])).pid();
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const [, parent, group] = stat
        .slice(stat.lastIndexOf(")") + 2)
        .split(" ")
        .map(Number);
      demand(parent !== process.pid, "the shim is a child of the caller");
      demand(group === pid, `the shim is in process group ${group}`);
    },
  },
  {
    id: "start.oom-score",
    title: "oom_score_adj of the shim",
    demand: "The shim's oom_score_adj is its caller's plus one (1000 at most).",
    why: "The kernel is to kill a shim before the daemon, and containers before shims.",
    source: "containerd runtime/v2/shim: AdjustOOMScore",
    async run(ground) {
      const pid = await (await ground.start(["/bin/true"])).pid();
      same("oom_score_adj", oomScoreAdjOf(pid), Math.min(oomScoreAdjOf(process.pid) + 1, 1000));
    },
  },
  {
    id: "start.bad-config",
    title: "start without config.json",
    demand: "start exits with another status than 0 and says why, and leaves no process or socket.",
    why: "The daemon shows that text to the user, and calls `delete` only if it knows of a shim.",
    source: "containerd runtime/v2/binary.go; report containerd#10192",
    async run(ground) {
      const bundle = ground.bundle(["/bin/true"]);
      rmSync(join(bundle.dir, "config.json"));
      const { status, stdout, stderr } = await runAction(ground, bundle, ["start"]);
      demand(status !== 0, `start without config.json succeeds: "${shorten(stdout)}"`);
      demand(`${stdout}${stderr}`.trim() !== "", "start fails and does not say why");
      bundle.remove();
      await ground.demandNothingLeft("after a failed start");
    },
  },
  {
    id: "start.info",
    title: "-info",
    demand: "`-info` prints a RuntimeInfo with the runtime's name.",
    why: "containerd 1.7 and later ask it for features (user namespaces, idmapped mounts) before they use them.",
    source: "containerd 1.7 runtime/v2/shim/shim.go; api/types/introspection.proto",
    async run(ground) {
      const { status, stdoutBytes, stderr } = await run([ground.shimFile, "-info"], {
        input: Buffer.alloc(0),
        env: { PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` },
      });
      if (status === 2 && /not defined/.test(stderr))
        doesNotApply("it has no -info, as shims of containerd 1.6 and before");
      demand(status === 0, () => `-info exits ${status}: "${shorten(stderr)}"`);
      demand(RuntimeInfo.decode(stdoutBytes).name !== "", "-info tells no name");
    },
  },
  {
    id: "start.version",
    title: "-v",
    demand: "`-v` prints name and version and exits with 0.",
    why: "People and package checks ask it.",
    source: "containerd runtime/v2/shim/shim.go",
    async run(ground) {
      const { status, stdout } = await run([ground.shimFile, "-v"]);
      same("the exit status of -v", status, 0);
      demand(/\d|unknown/.test(stdout), `-v prints "${shorten(stdout)}"`);
    },
  },
  {
    id: "start.parent-of-containers",
    title: "The shim is its containers' subreaper",
    demand: "Init's parent is the shim.",
    why: "Only a parent learns an exit status from the kernel.",
    source: "prctl(2), PR_SET_CHILD_SUBREAPER; containerd runtime/v2/shim sets it",
    async run(ground) {
      const shim = await ground.start(["/bin/sleep", "1000"]);
      const { pid } = await shim.create();
      const shimPid = await shim.pid();
      await until("init to have its parent", 2_000, () => processInfo(pid)?.ppid === shimPid);
    },
  },
];
