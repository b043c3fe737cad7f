// Id-mapped mounts: the maps as mount options carry them, as text for the kernel and as a user namespace.

import { MoorError, must } from "../sys/error.ts";
import { quoted } from "../sys/quoted.ts";
import type { Fd, Sys } from "../sys/sys.d.ts";

/**
 * A user namespace with these maps. The caller owns the fd.
 * @throws MoorError invalid_argument for a map that is none; unknown when the kernel refuses.
 */
export function openUserNamespace(sys: Sys, maps: { readonly uid: string; readonly gid: string }): Fd {
  const uidMap = mapText("uidmap", maps.uid);
  const gidMap = mapText("gidmap", maps.gid);
  return must(sys.userNamespace(uidMap, gidMap), `make a user namespace for uidmap=${maps.uid}, gidmap=${maps.gid}`);
}

/** "0:1000:1,1:2000:9" as the lines of /proc/PID/uid_map: inside, outside, count. */
export function mapText(name: string, value: string): string {
  return value
    .split(",")
    .map((entry) => {
      if (/^\d{1,10}:\d{1,10}:\d{1,10}$/.test(entry)) return `${entry.replaceAll(":", " ")}\n`;
      throw new MoorError(
        "invalid_argument",
        `mount option ${quoted(`${name}=${value}`)}: ${quoted(entry)} is not CONTAINER:HOST:SIZE`,
      );
    })
    .join("");
}
