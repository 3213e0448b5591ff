// What a command line of `eddy replay` means, or why it means nothing. Pure.
import type { Declaration } from "../authoring/index.ts";
import type { ReplayWay } from "../pipeline/index.ts";
import { usage } from "./exits.ts";

export interface WayOptions {
  readonly dryRun?: true;
  readonly into?: string;
  readonly effects?: true;
  readonly whatIf?: string;
}

/** Which way the handler is run over its past; a comparison of two versions is none of them. */
export function wayOf(kind: Declaration["kind"], { dryRun, into, effects }: WayOptions): ReplayWay {
  if (into !== undefined && !/^[A-Za-z0-9_-]{1,64}$/.test(into))
    throw usage(
      `--into: a name is 1 to 64 of A-Z a-z 0-9 _ -, got ${JSON.stringify(into.slice(0, 100))}`,
    );
  if (into !== undefined && dryRun)
    throw usage("--dry-run stores nothing, and --into says where to store: take one of them");
  if (kind === "projection") {
    if (effects)
      throw usage("--effects is for reactions: a projection emits nothing. Take --into NAME");
    if (into !== undefined) return { kind: "into", name: into };
    if (dryRun) return { kind: "look" };
    throw usage(
      "a projection's entries hold these events already: to fold them again in place would count them twice. " +
        "Take --into NAME for a bucket of its own, or --dry-run",
    );
  }
  if (into === undefined)
    return effects ? { kind: "effects", dry: dryRun === true } : { kind: "look" };
  if (effects) return { kind: "into", name: into };
  throw usage(
    "a reaction keeps nothing but its effects: --into NAME needs --effects, and stores them as those of a handler NAME. " +
      "Without --into nothing is stored",
  );
}

/** `--what-if` compares, and goes with nothing that stores. */
export function checkComparison({ dryRun, into, effects }: WayOptions): void {
  const other = [dryRun && "--dry-run", into !== undefined && "--into", effects && "--effects"];
  const found = other.find((option) => option);
  if (found)
    throw usage(`--what-if stores nothing and only compares: it does not go with ${found}`);
}
