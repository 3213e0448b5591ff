// `local`: how much of a projection a process that reads it keeps in memory. Its meaning and its check.
import { nonsense } from "./declaration.ts";

/** All entries, or so many of those that were read last. */
export type Local = "all" | number;

const localEntriesMax = 1_000_000;

export function checkLocal(what: string, local: unknown): void {
  if (local === undefined || local === "all") return;
  if (Number.isInteger(local) && Number(local) >= 1 && Number(local) <= localEntriesMax) return;
  throw nonsense(
    `${what}: local must be "all" or a number of entries from 1 to ${localEntriesMax}, got ${String(local)}`,
  );
}
