// From verdict to stored: the unit of work of one event goes to the committer. What has to be stored outside of
// the batch (a schedule, a letter) is stored before it and is idempotent by its subject.
import { Permanent, parseDuration } from "../authoring/index.ts";
import type { BatchMessage } from "../broker/index.ts";
import { describeThrown, EddyError, keyOf } from "../events/index.ts";
import type { Move } from "./ledger/counts.ts";
import type { DeadReason, Verdict } from "./outcome.ts";
import { type Backoff, nextDue, scheduleRetry } from "./retry/backoff.ts";
import { storeLetter } from "./retry/letters.ts";
import type { Attempt, Parcel } from "./retry/parcel.ts";
import { standingMessage } from "./retry/standing.ts";
import type { Job, Scope } from "./scope.ts";
import { untilAnswered } from "./until-answered.ts";

/** A handled event: its effects and its position in one unit. */
export function concludeHandled(scope: Scope, job: Job, messages: readonly BatchMessage[]): void {
  submit(scope, job, { kind: "handled", effects: messages.length }, messages);
}

export function concludeDuplicate(scope: Scope, job: Job, firstSeq: number): void {
  submit(scope, job, { kind: "duplicate", firstSeq }, []);
}

/** A failed attempt: the next one is stored, or the event is dead. */
export async function concludeFailed(scope: Scope, job: Job, thrown: unknown): Promise<void> {
  const cause = asCause(thrown);
  const attempts = [...job.attempts, failedAttempt(job, cause)];
  if (cause instanceof Permanent) return concludeDead(scope, job, "permanent", cause, attempts);
  const due = nextDue(backoffOf(scope, job), job.attempt, cause, Date.now(), Math.random());
  if (due === undefined) return concludeDead(scope, job, "attempts", cause, attempts);
  const parcel: Parcel = {
    handler: job.handler.name,
    original: job.original,
    attempts,
    next: job.attempt + 1,
    packedMs: Date.now(),
  };
  await untilAnswered(scope, "EDDY_RETRY_NOT_STORED", () =>
    scheduleRetry(scope.broker, parcel, due),
  );
  submit(scope, job, { kind: "retry", due, cause }, []);
}

/** An event that can never succeed, or has no attempt left: its letter is stored before anything says so. */
export async function concludeDead(
  scope: Scope,
  job: Job,
  reason: DeadReason,
  cause: unknown,
  attempts: readonly Attempt[] = job.attempts,
): Promise<void> {
  const { name: handler, version } = job.handler;
  const { event } = job;
  const named =
    event === undefined
      ? {}
      : {
          event: {
            source: event.source,
            id: event.id,
            type: event.type,
            key: job.key ?? keyOf(event),
          },
        };
  const parcel: Parcel = {
    handler,
    original: job.original,
    attempts,
    next: 1,
    packedMs: Date.now(),
    death: { reason, version, error: scope.explain(cause), ...named },
  };
  await untilAnswered(scope, "EDDY_LETTER_NOT_STORED", () => storeLetter(scope.broker, parcel));
  submit(scope, job, { kind: "dead", reason, cause }, []);
}

function submit(scope: Scope, job: Job, verdict: Verdict, messages: readonly BatchMessage[]): void {
  if (!scope.alive()) return;
  const move: Move = { from: job.from, to: verdict.kind === "retry" ? "retrying" : verdict.kind };
  scope.committer.submit({
    ledger: scope.ledger,
    settlement: job.slot === undefined ? { move } : { slot: job.slot, move },
    messages: [...messages, ...standingOf(scope, job, verdict)],
    onStored() {
      job.onStored();
      reportVerdict(scope, job, verdict);
    },
    onRefused(why) {
      scope.entries?.forget();
      const error = new EddyError(
        "EDDY_EFFECT_REFUSED",
        `the server does not store an effect: ${why}`,
      );
      void concludeDead(scope, job, "refused", error);
    },
  });
}

// An event that is handled or a duplicate at first sight needs no standing: its position says it all.
function standingOf(scope: Scope, job: Job, verdict: Verdict): BatchMessage[] {
  const { place } = scope.ledger;
  const { position } = job.original;
  switch (verdict.kind) {
    case "retry":
      return [standingMessage(place, position, { kind: "waiting", attempt: job.attempt + 1 })];
    case "dead":
      return [standingMessage(place, position, { kind: "dead" })];
    default:
      return job.from === "new" ? [] : [standingMessage(place, position, { kind: "done" })];
  }
}

// A proxy may throw as soon as one asks what it is.
function asCause(thrown: unknown): unknown {
  try {
    return thrown instanceof Error ? thrown : new Error(describeThrown(thrown).message);
  } catch {
    return new Error("threw an object that cannot be looked at");
  }
}

function failedAttempt(job: Job, cause: unknown): Attempt {
  const { name, message } = describeThrown(cause);
  return {
    attempt: job.attempt,
    atMs: Date.now(),
    version: job.handler.version,
    error: `${name}: ${message}`.slice(0, 500),
  };
}

function backoffOf(scope: Scope, job: Job): Backoff {
  const { retry } = job.handler.declaration.options;
  const { delaysMs, jitter } = scope.defaults;
  return {
    delaysMs: retry === undefined ? delaysMs : retry.map((d) => parseDuration(d) ?? 0),
    jitter,
  };
}

function reportVerdict(scope: Scope, job: Job, verdict: Verdict): void {
  const { name: handler, version } = job.handler;
  const { event, original, attempt } = job;
  const named =
    event === undefined ? {} : { event: { type: event.type, source: event.source, id: event.id } };
  const common = { handler, version, position: original.position, attempt, ...named };
  if (verdict.kind === "retry") {
    const error = describeThrown(verdict.cause);
    const text = `${error.name}: ${error.message}`;
    scope.around.report({ kind: "retry", ...common, due: verdict.due, error: text });
    return;
  }
  scope.around.report({
    kind: "outcome",
    ...common,
    outcome: verdict.kind,
    effects: verdict.kind === "handled" ? verdict.effects : 0,
    ms: performance.now() - job.beganMs,
    ...(verdict.kind === "dead"
      ? { reason: `${verdict.reason}: ${describeThrown(verdict.cause).message}` }
      : {}),
  });
}
