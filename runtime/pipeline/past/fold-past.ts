// A projection's past folded anew and aside, for some of its keys: each event with what it did to its entry, or why
// nothing.
// P1 Folded is what live is folded: no repeats, nothing that `where` leaves out, nothing that breaks its contract, nothing
// that is dead, discarded, or waits. P2 In the order of the log, as in a rebuild. Live an event that succeeded only at a retry may
// have been folded behind later ones of its key: those are marked.
// P3 What had expired live cannot be told where no letter keeps it: that hung on when it ran. An event counts as expired
// where it was too old on the day that it was stored.
import { Permanent, parseDuration } from "../../authoring/index.ts";
import { type CloudEvent, nameOf, type Position } from "../../events/index.ts";
import { type ExpiryPolicy, expiryOf } from "../expiry.ts";
import type { LogRange } from "../log/read-log.ts";
import { type LetterFacts, letterOf, standingOf } from "./aside.ts";
import { type Functions, functionsOf } from "./functions.ts";
import { type Met, meetEvents, type PastParts } from "./meet.ts";

/** One event of a key. */
export type Step = {
  readonly position: Position;
  readonly storedMs: number;
  readonly event: CloudEvent;
  readonly key: string;
} & StepResult;

type StepResult =
  /** The entry's state from here on, as JSON; undefined where there is none. */
  | { readonly kind: "folded"; readonly state: string | undefined; readonly retried: boolean }
  | { readonly kind: "duplicate"; readonly firstSeq: number }
  | { readonly kind: "filtered" | "discarded" | "waiting" | "parked" }
  | { readonly kind: "expired"; readonly policy: ExpiryPolicy }
  | { readonly kind: "dead"; readonly letter: LetterFacts | undefined }
  /** This version of the code cannot fold it, and it is not dead. */
  | { readonly kind: "failed"; readonly cause: unknown };

/** States of entries as JSON, by key. */
export type PastStates = Map<string, string>;

/** Folds stretches of the log into `states`, which may hold what came before. Only keys that are wanted are folded. */
export async function* foldPast(
  parts: PastParts,
  ranges: readonly LogRange[],
  states: PastStates,
  isWanted: (key: string) => boolean,
): AsyncGenerator<Step[]> {
  const functions = functionsOf(parts.broker, parts.handler, parts.runs);
  const maxAgeMs = parseDuration(parts.handler.declaration.options.maxAge);
  for await (const slice of meetEvents(parts, ranges)) {
    const steps: Step[] = [];
    for (const met of slice) {
      if (!isWanted(met.key)) continue;
      const result =
        asideOf(parts, met, maxAgeMs) ?? (await foldOne(parts, functions, states, met));
      const { key } = met;
      const { event } = met.job;
      const { position, storedMs } = met.sighting;
      steps.push({ position, storedMs, event, key, ...result });
    }
    if (steps.length > 0) yield steps;
  }
}

/** What becomes of an event that is not folded. */
function asideOf(
  { aside }: PastParts,
  { sighting, job: { event }, ...met }: Met,
  maxAgeMs: number | undefined,
): StepResult | undefined {
  const { position, storedMs } = sighting;
  const standing = standingOf(aside, position);
  if (sighting.kind === "duplicate") return { kind: "duplicate", firstSeq: sighting.firstSeq };
  if (standing === "dead") return { kind: "dead", letter: letterOf(aside, position) };
  if (standing !== undefined && standing !== "done") return { kind: standing };
  if (sighting.kind === "filtered") return { kind: "filtered" };
  if (sighting.kind === "dead") return { kind: "failed", cause: sighting.cause };
  if (met.keyless !== undefined) return { kind: "failed", cause: met.keyless };
  if (standing === "done") return undefined; // it ran, however old it was
  const policy = expiryOf(event, storedMs, maxAgeMs, storedMs);
  return policy === undefined ? undefined : { kind: "expired", policy };
}

async function foldOne(
  { aside }: PastParts,
  functions: Functions,
  states: PastStates,
  { job, key, sighting }: Met,
): Promise<StepResult> {
  const before = states.get(key);
  try {
    const given: unknown = before === undefined ? undefined : JSON.parse(before);
    const next: unknown = await functions.apply(job, given);
    const state = next === null ? undefined : jsonOf(job.event, next);
    if (state === undefined) states.delete(key);
    else states.set(key, state);
    const retried = standingOf(aside, sighting.position) === "done";
    return { kind: "folded", state, retried };
  } catch (cause) {
    return { kind: "failed", cause };
  }
}

function jsonOf(event: CloudEvent, state: unknown): string {
  const text: string | undefined = JSON.stringify(state);
  if (text !== undefined) return text;
  throw new Permanent(`the state after ${nameOf(event)} is no JSON value`);
}
