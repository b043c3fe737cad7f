// The connection: unknown methods, what cannot be decoded, large messages, many connections, peers that do not read.

import { memoryOf, openFdCount } from "../../test/harness/processes.ts";
import { encodeFrame, encodeRequest, type RawClient } from "../../test/harness/raw-ttrpc.ts";
import { callTask, TASK_V2, TASK_V3 } from "../../test/harness/direct-shim.ts";
import { StateRequest } from "../../src/api/task.ts";
import { until } from "../../test/harness/until.ts";
import { type Case, Code, demand, faultOf, refused, same } from "../case.ts";
import { demandServes } from "../shim.ts";

const nothing = new Uint8Array();
const maxMessage = 4 << 20;

export const wireCases: readonly Case[] = [
  {
    id: "wire.unknown-method",
    title: "An unknown method",
    demand: "Unimplemented, on its stream; the connection goes on.",
    why: "Newer daemons try newer methods and fall back on Unimplemented.",
    source: "containerd/ttrpc services.go",
    async run(ground) {
      const shim = await ground.start(["/bin/true"]);
      const call = shim.client.call(shim.service, "NoSuchMethod", nothing);
      await refused("an unknown method", call, Code.UNIMPLEMENTED);
      await demandServes(shim, "an unknown method");
    },
  },
  {
    id: "wire.unknown-service",
    title: "An unknown service",
    demand: "The same.",
    why: "containerd 2.x asks for a Sandbox service, and for task v3 before v2.",
    source: "containerd/ttrpc services.go; containerd 2.x core/runtime/v2/task_manager.go",
    async run(ground) {
      const shim = await ground.start(["/bin/true"]);
      const sandbox = "containerd.runtime.sandbox.v1.Sandbox";
      for (const [service, method] of [
        ["no.such.Service", "State"],
        [sandbox, "NoSuchMethod"],
      ] as const) {
        await refused(`the service ${service}`, shim.client.call(service, method, nothing), Code.UNIMPLEMENTED);
      }
      await demandServes(shim, "an unknown service");
    },
  },
  {
    id: "wire.other-task-version",
    title: "The Task service of the other version",
    demand: "Task v2 (or v3) beside the one that start announced is either served whole or Unimplemented.",
    why: "A daemon that joins an older shim's pod falls back on Unimplemented, and on nothing else.",
    source: "report containerd#10888",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const other = shim.service === TASK_V2 ? TASK_V3 : TASK_V2;
      const answer = await callTask(shim.client, "State", { id: shim.id }, other, 5_000).catch(
        (cause: unknown) => cause,
      );
      if (answer instanceof Error) {
        await refused(`State of ${other}`, Promise.reject(answer), Code.UNIMPLEMENTED);
      } else same(`the id in State of ${other}`, (answer as { id: string }).id, shim.id);
    },
  },
  {
    id: "wire.undecodable",
    title: "A request that cannot be decoded",
    demand: "An error on its stream; the connection goes on.",
    why: "One bad request must not cost the daemon's only connection.",
    source: "containerd/ttrpc server.go",
    async run(ground) {
      const shim = await ground.start(["/bin/true"]);
      for (const bytes of [Uint8Array.of(0x0a, 0x7f, 0x41), Uint8Array.of(0xff, 0xff, 0xff)]) {
        await faultOf("State with half a request", shim.client.call(shim.service, "State", bytes));
      }
      await demandServes(shim, "a request that cannot be decoded");
    },
  },
  {
    id: "wire.garbage",
    title: "Garbage on a connection",
    demand: "It costs that connection only.",
    why: "The socket is open to every process of root's.",
    source: "robustness",
    async run(ground) {
      const shim = await ground.start(["/bin/true"]);
      const bad = await shim.reconnect();
      bad.socket.write(Buffer.alloc(4096, 0xff));
      const half = await shim.reconnect();
      half.socket.write(Buffer.from([0, 0, 1, 0, 0, 0]));
      await demandServes(shim, "garbage on another connection");
      const fresh = await shim.reconnect();
      await callTask(fresh, "Connect", { id: shim.id }, shim.service, 5_000);
    },
  },
  {
    id: "wire.too-large",
    title: "A message above ttrpc's limit",
    demand: "A request of 4 MiB and a byte is ResourceExhausted, and the connection goes on.",
    why: "The limit is the protocol's; a cut connection makes containerd take the shim for dead.",
    source: "containerd/ttrpc channel.go: messageLengthMax, and its server's answer",
    async run(ground) {
      const shim = await ground.start(["/bin/true"]);
      const call = shim.client.send(1, new Uint8Array(maxMessage + 1));
      await refused("a request of 4 MiB and a byte", call, Code.RESOURCE_EXHAUSTED);
      await demandServes(shim, "a request that is too large");
    },
  },
  {
    id: "wire.large",
    title: "A message within the limit",
    demand: "An Exec whose spec has 2 MiB is taken.",
    why: "Environments and arguments are large at times.",
    source: "containerd/ttrpc channel.go: messageLengthMax is 4 MiB",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const exec = await shim.addExec(["/bin/true"], {}, (process) => {
        for (let i = 0; i < 32; i++) process.env.push(`LONG_${i}=${"x".repeat(65_536)}`);
      });
      await exec.delete();
    },
  },
  {
    id: "wire.pipelined",
    title: "Many requests at once on one connection",
    demand: "500 requests that are sent before any answer is read are all answered, each on its own stream.",
    why: "containerd has one connection to a shim and uses it concurrently.",
    source: "containerd/ttrpc PROTOCOL.md; reports ttrpc#72, #168",
    async run(ground) {
      const shim = await ground.start(["/bin/true"]);
      const calls = Array.from({ length: 500 }, (_, i) =>
        i % 2 === 0 ? shim.call("Connect") : shim.call("State").catch(() => undefined),
      );
      const pid = await shim.pid();
      const answers = await Promise.all(calls);
      const wrong = answers.filter((answer, i) => (i % 2 === 0 ? !hasPid(answer, pid) : answer !== undefined));
      same("the number of wrong answers", wrong.length, 0);
    },
  },
  {
    id: "wire.slow-call-beside-others",
    title: "A long call holds up no other",
    demand: "While 50 Waits hang on a connection, State on the same connection answers within 1 s.",
    why: "Waits hang as long as containers run.",
    source: "containerd/ttrpc: concurrent streams",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const waits = Array.from({ length: 50 }, () => shim.call("Wait", {}, { deadlineMs: 15_000 }));
      for (const wait of waits) wait.catch(() => undefined);
      for (let i = 0; i < 10; i++) await shim.call("State", {}, { deadlineMs: 1_000 });
      await shim.call("Kill", { signal: 9 });
      await Promise.all(waits);
    },
  },
  {
    id: "wire.many-connections",
    title: "300 connections",
    demand: "300 idle connections are served and, once closed, cost no fd any more.",
    why: "Monitoring that connects anew each time.",
    source: "robustness",
    async run(ground) {
      const shim = await ground.start(["/bin/true"]);
      const pid = await shim.pid();
      const before = openFdCount(pid);
      const clients: RawClient[] = [];
      for (let i = 0; i < 300; i++) clients.push(await shim.reconnect());
      const last = clients.at(-1);
      if (last !== undefined) await callTask(last, "Connect", { id: shim.id }, shim.service, 5_000);
      for (const client of clients) client.close();
      await until(
        "the connections' fds to be closed",
        5_000,
        () => openFdCount(pid) <= before + 2,
        () => `${openFdCount(pid)} are open, ${before} were before`,
      );
    },
  },
  {
    id: "wire.peer-that-does-not-read",
    title: "A peer that never reads",
    demand: "A client that sends 200,000 requests and reads no answer costs at most 16 MiB, and others are served.",
    why: "A client that hangs must not eat the node's memory.",
    source: "robustness: backpressure of a stream socket; report ttrpc#168",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const pid = await shim.pid();
      const before = memoryOf(pid).anonymousKb;
      const deaf = await shim.reconnect();
      deaf.socket.pause();
      const payload = encodeRequest(
        shim.service,
        "State",
        StateRequest.encode({ ...StateRequest.decode(nothing), id: shim.id }).finish(),
      );
      const frames = Array.from({ length: 2000 }, (_, i) =>
        encodeFrame({ streamId: 2 * i + 1, type: 1, flags: 0, payload }),
      );
      let isBlocked = false;
      for (let round = 0; round < 100 && !isBlocked; round++) {
        for (let i = 0; i < frames.length; i++) frames[i]?.writeUInt32BE(2 * (round * frames.length + i) + 1, 4);
        isBlocked = !(await taken(deaf, Buffer.concat(frames)));
      }
      await demandServes(shim, "a flood of requests");
      const grownKb = memoryOf(pid).anonymousKb - before;
      demand(grownKb <= 16_384, `the shim's memory grew by ${Math.round(grownKb / 1024)} MiB`);
    },
  },
];

function hasPid(answer: unknown, pid: number): boolean {
  return (answer as { shimPid?: number } | undefined)?.shimPid === pid;
}

/** Writes; false when the other side has not taken it within 2 s. */
async function taken(client: RawClient, bytes: Buffer): Promise<boolean> {
  let isTaken = false;
  client.socket.write(bytes, () => {
    isTaken = true;
  });
  return await until("the requests to be taken", 2_000, () => isTaken).catch(() => false);
}
