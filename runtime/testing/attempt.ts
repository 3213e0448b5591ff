// One attempt of one handler, run by the pipeline's own code: what it emits, or why its event goes another way.
import { type Handler, Permanent, parseDuration } from "../authoring/index.ts";
import { validatorOf } from "../contracts/index.ts";
import { type CloudEvent, EddyError, nameOf, type Position } from "../events/index.ts";
import { expiredError, expiryOf } from "../pipeline/expiry.ts";
import { entryKey, foldEvent } from "../pipeline/fold.ts";
import { runReaction, type Surroundings } from "../pipeline/handle.ts";
import type { Entries, Outcome } from "../pipeline/index.ts";
import { nextDue } from "../pipeline/retry/backoff.ts";

/** What an attempt came to: an outcome, or another attempt when it is due. */
export type Verdict =
  | Outcome
  | { readonly kind: "retry"; readonly due: Date; readonly cause: unknown };

export interface Job {
  readonly handler: Handler;
  readonly event: CloudEvent;
  readonly position: Position;
  /** 1 for the first. */
  readonly attempt: number;
  readonly replaying: boolean;
}

/** The runtime's defaults, as in its configuration; without jitter, so that a test has one course. */
const deadlineMs = 30_000;
const delaysMs: readonly number[] = [1_000, 5_000, 30_000, 120_000, 600_000];

/** Why the event may not reach the handler: its data breaks the schema of its type. */
export function contractError({ handler, event }: Job): EddyError | undefined {
  const type = handler.declaration.from.find((known) => known.type === event.type);
  const wrong = type === undefined ? [] : validatorOf(type.schema)(event.data);
  if (wrong.length === 0) return undefined;
  const text = `${handler.name} cannot take ${nameOf(event)}: ${wrong.join("; ")}`;
  return new EddyError("EDDY_DATA_INVALID", text);
}

/** The outcome of an event that is too old to run; undefined for any other. */
export function expiredVerdict(job: Job, storedMs: number, nowMs: number): Verdict | undefined {
  const { options } = job.handler.declaration;
  const policy = expiryOf(job.event, storedMs, parseDuration(options.maxAge), nowMs);
  if (policy === undefined) return undefined;
  const cause = expiredError(job.handler, job.event, policy);
  return { kind: "expired", policy, kept: options.keepExpired === true, cause };
}

/** Runs the handler. Resolves to what it emits, and rejects with what it throws. */
export async function runAttempt(
  { handler, event, position, attempt, replaying }: Job,
  around: Surroundings,
  entriesOf: (projection: string) => Entries,
): Promise<readonly CloudEvent[]> {
  const { declaration, name } = handler;
  if (declaration.kind === "projection") {
    const key = entryKey(declaration, event);
    const folded = await foldEvent(declaration, event, key, entriesOf(declaration.name));
    if (folded.kind === "threw") throw folded.error;
    return [];
  }
  const terms = {
    deadlineMs: parseDuration(declaration.options.deadline) ?? deadlineMs,
    source: `/test/${name}`,
    ...(replaying ? { replaying } : {}),
  };
  const run = { handler, event, position, attempt };
  const result = await runReaction(declaration, run, terms, around);
  if (result.kind === "threw") throw result.error;
  return result.emitted;
}

/** What a throw means for the event: dead where no attempt can help or none is left, else a retry. */
export function judge({ handler, attempt }: Job, thrown: unknown, nowMs: number): Verdict {
  if (thrown instanceof Permanent) return { kind: "dead", reason: "permanent", cause: thrown };
  const delays = handler.declaration.options.retry?.map((delay) => parseDuration(delay) ?? 0);
  const backoff = { delaysMs: delays ?? delaysMs, jitter: 0 };
  const due = nextDue(backoff, attempt, thrown, nowMs, 0);
  if (due === undefined) return { kind: "dead", reason: "attempts", cause: thrown };
  return { kind: "retry", due, cause: thrown };
}
