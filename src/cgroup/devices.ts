// What cgroups count by device rather than in one number: huge pages by size and RDMA by adapter, in the same form in
// both versions, and the names of block devices.

import { isErrno } from "../sys/errno.ts";
import type { Sys } from "../sys/sys.d.ts";
import { fieldsOfLines, tryReadText } from "./values.ts";

/** The kernel's folder with one folder per size of huge pages. */
export const hugePagesFolder = "/sys/kernel/mm/hugepages";

const sizeUnits = ["KB", "MB", "GB", "TB"];
/** "max" of an RDMA limit, which is 32 bits wide in the message. */
const unlimitedRdma = 0xffff_ffff;

export interface RdmaCounts {
  device: string;
  hcaHandles: number;
  hcaObjects: number;
}

/** Sizes of huge pages as cgroupfs names them in its files, "2MB" or "1GB". */
export function readHugePageSizes(sys: Sys, folder: string): string[] {
  const entries = sys.readdir(folder);
  if (isErrno(entries)) return [];
  const sizes: string[] = [];
  for (const [name] of entries) {
    const digits = /^hugepages-(\d+)kB$/.exec(name)?.[1];
    if (digits === undefined) continue;
    let size = Number(digits);
    let unit = 0;
    while (size >= 1024 && unit < sizeUnits.length - 1) {
      size /= 1024;
      unit++;
    }
    sizes.push(`${size}${sizeUnits[unit]}`);
  }
  return sizes.sort();
}

/** rdma.current or rdma.max: lines of "mlx5_0 hca_handle=2 hca_object=2000". Empty without the file. */
export function readRdma(sys: Sys, path: string): RdmaCounts[] {
  return fieldsOfLines(tryReadText(sys, path) ?? "").map(([device = "", ...pairs]) => {
    const values = new Map(pairs.map((pair) => pair.split("=", 2) as [string, string]));
    const count = (name: string): number => {
      const value = values.get(name) ?? "";
      if (value === "max") return unlimitedRdma;
      return Math.min(Math.max(Number.parseInt(value, 10) || 0, 0), unlimitedRdma);
    };
    return { device, hcaHandles: count("hca_handle"), hcaObjects: count("hca_object") };
  });
}

/** Paths of block devices by "MAJOR:MINOR", from /proc/partitions (two lines of heading, then MAJOR MINOR BLOCKS NAME). */
export function readBlockDevices(sys: Sys, proc: string): Map<string, string> {
  const devices = new Map<string, string>();
  for (const [major, minor, , name] of fieldsOfLines(tryReadText(sys, `${proc}/partitions`) ?? "").slice(1)) {
    const key = `${major}:${minor}`;
    if (name !== undefined && !devices.has(key)) devices.set(key, `/dev/${name}`);
  }
  return devices;
}
