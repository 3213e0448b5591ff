// From verdict to stored: the unit of work of one event goes to the committer. What has to be stored outside of
// the batch (a schedule, a letter) is stored before it and is idempotent by its subject.
import { Permanent, parseDuration } from "../authoring/index.ts";
import type { BatchMessage } from "../broker/index.ts";
import { describeThrown, EddyError, keyOf } from "../events/index.ts";
import { type ExpiryPolicy, expiredError } from "./expiry.ts";
import type { Unit } from "./group.ts";
import type { Move } from "./ledger/counts.ts";
import type { Ledger } from "./ledger/ledger.ts";
import type { DeadReason, LetterReason, Verdict } from "./outcome.ts";
import { type Backoff, nextDue, scheduleRetry } from "./retry/backoff.ts";
import { storeLetter } from "./retry/letters.ts";
import type { Attempt, Parcel } from "./retry/parcel.ts";
import { standingMessage } from "./retry/standing.ts";
import { type EventJob, type HeldChange, type Job, nextRun, type Scope } from "./scope.ts";
import { untilAnswered } from "./until-answered.ts";

/** A handled event: its effects and its position in one unit. */
export function concludeHandled(
  scope: Scope,
  job: Job,
  messages: readonly BatchMessage[],
  onEnd?: OnEnd,
): void {
  submit(scope, job, handledWith[messages.length] ?? handled(messages.length), messages, onEnd);
}

export function concludeDuplicate(scope: Scope, job: Job, firstSeq: number): void {
  submit(scope, job, { kind: "duplicate", firstSeq }, []);
}

/** An event that its handler's `where` leaves out: nothing runs, and nobody asks for its contract. */
export function concludeFiltered(scope: Scope, job: Job): void {
  submit(scope, job, { kind: "filtered" }, []);
}

/** A failed attempt: the next one is stored, or the event is dead. */
export async function concludeFailed(scope: Scope, job: Job, thrown: unknown): Promise<void> {
  const cause = asCause(thrown);
  const attempts = [...job.attempts, failedAttempt(job, cause)];
  if (cause instanceof Permanent)
    return concludeDead(scope, job, "permanent", refusalIn(cause), attempts);
  const due = nextDue(backoffOf(scope, job), job.attempt, cause, Date.now(), Math.random());
  if (due === undefined) return concludeDead(scope, job, "attempts", cause, attempts);
  const parcel: Parcel = {
    handler: job.handler.name,
    original: job.original,
    attempts,
    next: nextRun(job),
    packedMs: Date.now(),
    ...(job.anyAge ? { anyAge: true } : {}),
    ...(job.postponed === undefined ? {} : { postponed: job.postponed }),
  };
  await untilAnswered(scope, "EDDY_RETRY_NOT_STORED", () =>
    scheduleRetry(scope.broker, parcel, due),
  );
  submit(scope, job, { kind: "retry", due, cause }, []);
}

/** An event that could not run for now: the same attempt comes later. */
export async function concludePostponed(scope: Scope, job: Job, due: Date): Promise<void> {
  const parcel: Parcel = {
    handler: job.handler.name,
    original: job.original,
    attempts: job.attempts,
    next: nextRun(job),
    packedMs: Date.now(),
    ...(job.anyAge ? { anyAge: true } : {}),
    postponed: (job.postponed ?? 0) + 1,
  };
  await untilAnswered(scope, "EDDY_RETRY_NOT_STORED", () =>
    scheduleRetry(scope.broker, parcel, due),
  );
  submit(scope, job, { kind: "retry", due, cause: undefined }, []);
}

/** An event that can never succeed, or has no attempt left: its letter is stored before anything says so. */
export async function concludeDead(
  scope: Scope,
  job: Job,
  reason: DeadReason,
  cause: unknown,
  attempts: readonly Attempt[] = job.attempts,
): Promise<void> {
  if (scope.held !== undefined) job.key = scope.held.keyOf(job, reason); // the letter names what it holds
  await keepLetter(scope, job, reason, cause, attempts);
  submit(scope, job, { kind: "dead", reason, cause }, []);
}

/** An event that is too old: nothing runs. A letter keeps it where its handler says so. */
export async function concludeExpired(
  scope: Scope,
  job: EventJob,
  policy: ExpiryPolicy,
): Promise<void> {
  const kept = job.handler.declaration.options.keepExpired === true;
  const cause = expiredError(job.handler, job.event, policy);
  if (kept) await keepLetter(scope, job, "expired", cause, job.attempts);
  submit(scope, job, { kind: "expired", policy, kept, cause }, []);
}

async function keepLetter(
  scope: Scope,
  job: Job,
  reason: LetterReason,
  cause: unknown,
  attempts: readonly Attempt[],
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
            key: job.key === "" ? keyOf(event) : job.key,
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
}

/** Told once: that the effects are stored, or why the server does not take them. */
type OnEnd = (refused?: EddyError) => void;

function submit(
  scope: Scope,
  job: Job,
  verdict: Verdict,
  messages: readonly BatchMessage[],
  onEnd?: OnEnd,
): void {
  if (!scope.alive()) return;
  const standing = standingOf(scope, job, verdict);
  const key = scope.held?.settle(job, verdict);
  const all =
    standing === undefined && key === undefined
      ? messages
      : [...messages, ...some(standing, key?.message)];
  scope.committer.submit(new Conclusion(scope, job, verdict, all, key, onEnd));
}

function some(...messages: (BatchMessage | undefined)[]): BatchMessage[] {
  return messages.filter((message) => message !== undefined);
}

// Nearly all events are handled at first sight with few effects: what they have in common is made once.
const handled = (effects: number): Verdict => ({ kind: "handled", effects });
const handledWith = Array.from({ length: 16 }, (_, effects) => handled(effects));
const handledAtOnce: Move = { from: "new", to: "handled" };

class Conclusion implements Unit {
  readonly messages: readonly BatchMessage[];
  readonly move: Move;
  readonly #scope: Scope;
  readonly #job: Job;
  readonly #verdict: Verdict;
  readonly #key: HeldChange | undefined;
  readonly #onEnd: OnEnd | undefined;

  constructor(
    scope: Scope,
    job: Job,
    verdict: Verdict,
    messages: readonly BatchMessage[],
    key: HeldChange | undefined,
    onEnd: OnEnd | undefined,
  ) {
    this.messages = messages;
    this.#scope = scope;
    this.#job = job;
    this.#verdict = verdict;
    this.#key = key;
    this.#onEnd = onEnd;
    const to = verdict.kind === "retry" ? "retrying" : verdict.kind;
    this.move = job.from === "new" && to === "handled" ? handledAtOnce : { from: job.from, to };
  }

  get ledger(): Ledger {
    return this.#scope.ledger;
  }

  get slot(): number | undefined {
    return this.#job.slot;
  }

  get stream(): string {
    return this.#job.position.stream;
  }

  onStored(nowMs: number): void {
    this.#job.onStored?.();
    this.#key?.onStored();
    this.#onEnd?.();
    reportVerdict(this.#scope, this.#job, this.#verdict, nowMs);
  }

  onRefused(why: string): void {
    const text = `the server does not store an effect: ${why}`;
    this.#scope.entries?.forget();
    this.#key?.onRefused();
    const error = new EddyError("EDDY_EFFECT_REFUSED", text);
    this.#onEnd?.(error);
    void concludeDead(this.#scope, this.#job, "refused", error);
  }
}

// An event that is handled, filtered or a duplicate at first sight needs no standing: its position says it all.
function standingOf(scope: Scope, job: Job, verdict: Verdict): BatchMessage | undefined {
  const { place } = scope.ledger;
  const { position } = job;
  switch (verdict.kind) {
    case "retry":
      return standingMessage(place, position, { kind: "waiting", attempt: nextRun(job) });
    case "dead":
      return standingMessage(place, position, { kind: "dead" });
    default:
      if (verdict.kind === "expired" && verdict.kept)
        return standingMessage(place, position, { kind: "dead" }); // there is a letter to give back
      return job.from === "new" ? undefined : standingMessage(place, position, { kind: "done" });
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

// What the runtime itself refuses says so by its code, in the letter as well.
function refusalIn(permanent: Permanent): unknown {
  const { cause, message } = permanent;
  return cause instanceof EddyError && cause.message === message ? cause : permanent;
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

export function backoffOf(scope: Scope, job: Job): Backoff {
  const { retry } = job.handler.declaration.options;
  const { delaysMs, jitter } = scope.defaults;
  return {
    delaysMs: retry === undefined ? delaysMs : retry.map((d) => parseDuration(d) ?? 0),
    jitter,
  };
}

function reportVerdict(scope: Scope, job: Job, verdict: Verdict, nowMs: number): void {
  const { name: handler, version } = job.handler;
  const { event, position, attempt } = job;
  const { report } = scope.around;
  if (verdict.kind === "retry") {
    if (verdict.cause === undefined) {
      report({ kind: "enrich", handler, what: "postponed" });
      return;
    }
    const { name, message } = describeThrown(verdict.cause);
    const { due } = verdict;
    const error = `${name}: ${message}`;
    report({ kind: "retry", handler, version, event, position, attempt, due, error });
    return;
  }
  const ms = nowMs - job.beganMs;
  const effects = verdict.kind === "handled" ? verdict.effects : 0;
  const fact = { handler, version, event, position, attempt, effects, ms };
  const { kind } = verdict;
  if (kind === "handled" || kind === "duplicate" || kind === "filtered")
    report({ kind: "outcome", outcome: kind, ...fact });
  else {
    const why = describeThrown(verdict.cause).message;
    const reason = kind === "dead" ? `${verdict.reason}: ${why}` : why;
    report({ kind: "outcome", outcome: kind, reason, ...fact });
  }
}
