// Requests that make no sense: the right code, nothing changed, nothing left, and a shim that serves on.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Status } from "../../src/api/process.ts";
import type { Method, RequestOf } from "../../test/harness/direct-shim.ts";
import { ociProcess } from "../../test/harness/oci-spec.ts";
import { isAlive } from "../../test/harness/processes.ts";
import { type Case, Code, demand, faultOf, refused, same } from "../case.ts";
import { demandServes, processSpec } from "../shim.ts";
import { bindOf, mountsBelow } from "./life.ts";

export const refusalCases: readonly Case[] = [
  {
    id: "refusal.unknown-container",
    title: "A container that is not there",
    demand:
      "State, Start, Delete, Pause, Resume, Exec, Update, Wait, Stats, CloseIO and ResizePty of an unknown id are NotFound.",
    why: "Daemons clean up on NotFound and keep trying on anything else.",
    source: "containerd errdefs; gRPC status codes",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const requests: { readonly [M in Method]?: Partial<RequestOf<M>> } = {
        ...{ State: {}, Start: {}, Delete: {}, Pause: {}, Resume: {}, Wait: {}, Stats: {}, CloseIO: {} },
        Exec: { execId: "e", spec: processSpec(ociProcess(["/bin/true"])) },
        Update: { resources: { typeUrl: "x", value: new TextEncoder().encode("{}") } },
        ResizePty: { width: 80, height: 24 },
      };
      for (const [method, fields] of Object.entries(requests)) {
        const call = shim.call(method as Method, { ...fields, id: "nobody" } as never);
        await refused(`${method} of an unknown container`, call, Code.NOT_FOUND);
      }
    },
  },
  {
    id: "refusal.unknown-exec",
    title: "An exec that is not there",
    demand: "State, Start, Delete, Wait and ResizePty of an unknown exec are NotFound.",
    why: "The same.",
    source: "containerd errdefs",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      for (const method of ["State", "Start", "Delete", "Wait", "ResizePty"] as const) {
        await refused(`${method} of an unknown exec`, shim.call(method, { execId: "none" }), Code.NOT_FOUND);
      }
    },
  },
  {
    id: "refusal.create-twice",
    title: "Create of an id that is there",
    demand: "AlreadyExists; the first container, its mounts and its files are as they were.",
    why: "A daemon that repeats a call whose answer it lost must not lose the container.",
    source: "containerd errdefs; gRPC status codes",
    async run(ground) {
      const shim = await ground.start(["/bin/sleep", "1000"], (spec) => {
        spec.root.path = "rootfs";
      });
      const { pid } = await shim.create({}, { rootfs: [bindOf(ground)] });
      const seen = () => ({ mounts: mountsBelow(shim.bundle.dir), files: readdirSync(shim.bundle.dir).sort() });
      const before = seen();
      const again = shim.call("Create", { bundle: shim.bundle.dir, rootfs: [bindOf(ground)] });
      await refused("a second Create", again, Code.ALREADY_EXISTS);
      same("mounts and files after it", seen(), before);
      same("State after it", (await shim.call("State")).pid, pid);
      await shim.call("Start");
      demand(isAlive(pid), "the first container is gone");
    },
  },
  {
    id: "refusal.start-twice",
    title: "Start of what was started",
    demand: "FailedPrecondition; the container runs on.",
    why: "The same.",
    source: "gRPC status codes; containerd runc shim: init_state.go",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      await refused("a second Start", shim.call("Start"), Code.FAILED_PRECONDITION);
      same("State after it", (await shim.call("State")).status, Status.RUNNING);
    },
  },
  {
    id: "refusal.no-bundle",
    title: "Create with a bundle that is not there",
    demand: "It is refused with InvalidArgument or NotFound; no file is made; the shim serves on.",
    why: "A daemon's bug must be told from a runtime's failure.",
    source: "gRPC status codes",
    async run(ground) {
      const shim = await ground.start(["/bin/true"]);
      const bundle = join(ground.dir, "no-such-bundle");
      const call = shim.call("Create", { bundle });
      await refused("Create without a bundle", call, Code.INVALID_ARGUMENT, Code.NOT_FOUND);
      demand(!readdirSync(ground.dir).includes("no-such-bundle"), "it makes the bundle's folder");
      await demandServes(shim, "a Create without a bundle");
    },
  },
  {
    id: "refusal.bad-config",
    title: "Create with a config.json that is not JSON",
    demand: "InvalidArgument; then, with a good one, Create works.",
    why: "The same.",
    source: "gRPC status codes; OCI runtime spec, config.md",
    async run(ground) {
      const shim = await ground.start(["/bin/true"]);
      const path = join(shim.bundle.dir, "config.json");
      const good = readFileSync(path);
      writeFileSync(path, "{");
      await refused("Create with half a config.json", shim.create(), Code.INVALID_ARGUMENT);
      writeFileSync(path, good);
      await shim.create();
    },
  },
  {
    id: "refusal.id-with-a-slash",
    title: "An id that is a path",
    demand:
      "Create with the id `../x` and Exec with the id `../../x` are refused, and no file outside the bundle is made.",
    why: "Ids become file names, in a process of root's. containerd checks them first; other callers may not.",
    source: "containerd pkg/identifiers; robustness",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const before = readdirSync(ground.dir).sort();
      const bundle = join(ground.dir, "bundles/other");
      mkdirSync(join(bundle, "rootfs"), { recursive: true });
      writeFileSync(join(bundle, "config.json"), readFileSync(join(shim.bundle.dir, "config.json")));
      await faultOf("Create with the id ../x", shim.call("Create", { id: "../x", bundle }));
      const attempt = (async (): Promise<void> => {
        const spec = processSpec(ociProcess(["/bin/true"]));
        await shim.call("Exec", { execId: "../../x", spec });
        await shim.call("Start", { execId: "../../x" });
        await shim.call("Wait", { execId: "../../x" });
        await shim.call("Delete", { execId: "../../x" });
      })();
      await refused("an exec with the id ../../x", attempt, Code.INVALID_ARGUMENT);
      same("the files outside the bundle", readdirSync(ground.dir).sort(), before);
    },
  },
  {
    id: "refusal.exec-without-spec",
    title: "Exec without a spec",
    demand: "InvalidArgument, and the shim and its container live on.",
    why: "A request without a field must not cost every container of a pod.",
    source: "gRPC status codes; Go's nil dereference in the runc shim",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const fault = await shim.call("Exec", { execId: "e" }).catch((cause: unknown) => cause);
      await demandServes(shim, "an Exec without a spec");
      await refused("Exec without a spec", fault instanceof Error ? Promise.reject(fault) : Promise.resolve(), 3);
    },
  },
  {
    id: "refusal.options-of-no-type",
    title: "Options of an unknown type",
    demand: "Create with options of a type it does not know is refused; they are not ignored.",
    why: "Security options that are dropped silently.",
    source: "containerd typeurl: unknown types are errors",
    async run(ground) {
      const shim = await ground.start(["/bin/true"]);
      const options = { typeUrl: "example.org/options.v9.Unknown", value: Uint8Array.of(0x0a, 0x01, 0x41) };
      await faultOf("Create with options of an unknown type", shim.create({}, { options }));
      await demandServes(shim, "unknown options");
    },
  },
  {
    id: "refusal.unknown-scheme",
    title: "A stream of an unknown scheme",
    demand: "Create with `nosuch://x` as stdout is refused, and works without it afterwards.",
    why: "A typing error in a log's address must not cost the log.",
    source: "containerd cio; gRPC status codes",
    async run(ground) {
      const shim = await ground.start(["/bin/true"]);
      const fields = { stdout: "nosuch://x", stderr: "nosuch://x" };
      await faultOf("Create with a stream nosuch://x", shim.create({}, fields));
      await shim.create();
    },
  },
  {
    id: "refusal.resize-without-terminal",
    title: "Resize without a terminal",
    demand: "ResizePty of a process without a terminal is refused, or a success that does nothing; the shim serves on.",
    why: "Clients resize before they know.",
    source: "containerd runc shim: Resize without console returns nil",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      await shim.call("ResizePty", { width: 80, height: 24 }).catch(() => undefined);
      await demandServes(shim, "a resize without a terminal");
      same("State after it", (await shim.call("State")).status, Status.RUNNING);
    },
  },
];
