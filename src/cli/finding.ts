// What moor doctor finds: each thing with what it means and the command that mends it, and, where nothing that lives can
// be touched by it, what mends it at once.

export type Grade = "ok" | "note" | "problem";

export interface Finding {
  /** Which check: a stable word, as "dead-shim". */
  readonly check: string;
  readonly grade: Grade;
  /** What it is about: "namespace/id", a path, a pid, or "machine". */
  readonly subject: string;
  readonly what: string;
  /** "" where there is nothing to say. */
  readonly meaning: string;
  /** What a person types to mend it; "" where there is nothing to mend. */
  readonly command: string;
  /** Mends it, touching nothing that lives; it looks again first. @throws what keeps it from that. */
  readonly fix?: () => Promise<void>;
}

export function ok(check: string, subject: string, what: string): Finding {
  return { check, grade: "ok", subject, what, meaning: "", command: "" };
}

/** A word as a shell takes it. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
