// An image of the tests' root file system, as an archive that `ctr images import` takes: one layer with the files, and
// as many small ones above it as wanted.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runOk } from "./command.ts";

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

function sha256(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** Writes the archive to `path`. Layer N above the first adds the file /layers/N. */
export async function writeImageArchive(path: string, rootfs: string, name: string, layerCount: number): Promise<void> {
  const dir = `${path}.parts`;
  mkdirSync(dir, { recursive: true });
  const layers: string[] = [];
  for (let number = 0; number < layerCount; number++) {
    const layer = `layer-${number}.tar`;
    let source = rootfs;
    if (number > 0) {
      source = join(dir, String(number));
      mkdirSync(join(source, "layers"), { recursive: true });
      writeFileSync(join(source, "layers", String(number)), `layer ${number}\n`);
    }
    await runOk(["tar", "-C", source, "-cf", join(dir, layer), "."]);
    layers.push(layer);
  }
  const config = {
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    os: "linux",
    config: { Env: ["PATH=/bin"], Cmd: ["/bin/sh"] },
    rootfs: { type: "layers", diff_ids: layers.map((layer) => sha256(readFileSync(join(dir, layer)))) },
  };
  writeFileSync(join(dir, "config.json"), JSON.stringify(config));
  const manifest = [{ Config: "config.json", RepoTags: [name], Layers: layers }];
  writeFileSync(join(dir, "manifest.json"), JSON.stringify(manifest));
  await runOk(["tar", "-C", dir, "-cf", path, "manifest.json", "config.json", ...layers]);
  rmSync(dir, { recursive: true });
}
