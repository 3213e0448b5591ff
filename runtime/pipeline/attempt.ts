// One event in its lane: handler, conclusion. The only place where user code runs, or is asked to run elsewhere.
import { type Handler, leavesOut } from "../authoring/index.ts";
import type { BatchMessage } from "../broker/index.ts";
import type { CloudEvent } from "../events/index.ts";
import { concludeExpired, concludeFailed, concludeFiltered, concludeHandled } from "./conclude.ts";
import { checkEffectSize, effectOf } from "./effect.ts";
import { expiryOf } from "./expiry.ts";
import { type Folded, foldEvent } from "./fold.ts";
import { type Result, runReaction } from "./handle.ts";
import { attemptRemotely, type Remote, remoteOf } from "./remote.ts";
import type { EventJob, Scope } from "./scope.ts";
import { termsOf, type VersionTerms } from "./terms.ts";

/** Runs the current version of the handler on a job; `leave` frees its lane. */
export type Attempts = (job: EventJob) => void;

export function createAttempts(scope: Scope, leave: (job: EventJob) => void): Attempts {
  let handler: Handler | undefined;
  let remote: Remote | undefined;
  let terms: VersionTerms = { deadlineMs: 0, source: "", maxAgeMs: undefined };

  return function run(job) {
    const current = scope.handler();
    if (current !== handler) {
      handler = current;
      remote = remoteOf(current);
      terms = termsOf(scope, current);
    }
    const { declaration } = current;
    if (job.handler !== current) {
      job.handler = current; // swapped while the event waited for its turn: it meets the new `where` too
      if (leavesOut(declaration, job.event)) {
        concludeFiltered(scope, job);
        leave(job);
        return;
      }
    }
    if (terms.maxAgeMs !== undefined || job.event.extensions.expirytime !== undefined) {
      if (job.anyAge === undefined && expire(scope, job, leave, terms.maxAgeMs)) return;
    }
    if (remote !== undefined) {
      void attemptRemotely(remote, scope, job, terms).then(
        (messages) => endWell(scope, job, leave, messages),
        (error: unknown) => fail(scope, job, leave, error),
      );
      return;
    }
    if (declaration.kind === "projection") {
      const { entries } = scope;
      if (entries === undefined) throw new RangeError("a projection needs its entries");
      const folded = foldEvent(declaration, job.event, job.key, entries);
      if (folded instanceof Promise) void folded.then((later) => endFold(scope, job, leave, later));
      else endFold(scope, job, leave, folded);
      return;
    }
    const result = runReaction(declaration, job, terms, scope.around);
    if (result instanceof Promise) void result.then((later) => endRun(scope, job, leave, later));
    else endRun(scope, job, leave, result);
  };
}

/** Concludes an event that is too old; false where it may run. */
function expire(
  scope: Scope,
  job: EventJob,
  leave: (job: EventJob) => void,
  maxAgeMs: number | undefined,
): boolean {
  const policy = expiryOf(job.event, job.original.timeMs, maxAgeMs, Date.now());
  if (policy === undefined) return false;
  void concludeExpired(scope, job, policy).finally(() => leave(job));
  return true;
}

function endFold(
  scope: Scope,
  job: EventJob,
  leave: (job: EventJob) => void,
  folded: Folded,
): void {
  if (folded.kind === "threw") {
    fail(scope, job, leave, folded.error);
    return;
  }
  endWell(scope, job, leave, [folded.message]);
}

function endRun(scope: Scope, job: EventJob, leave: (job: EventJob) => void, result: Result): void {
  if (result.kind === "threw") {
    fail(scope, job, leave, result.error);
    return;
  }
  let messages: readonly BatchMessage[];
  try {
    messages = result.emitted.map((event) => effectMessage(scope, job.handler.name, event));
  } catch (error) {
    fail(scope, job, leave, error);
    return;
  }
  endWell(scope, job, leave, messages);
}

function endWell(
  scope: Scope,
  job: EventJob,
  leave: (job: EventJob) => void,
  messages: readonly BatchMessage[],
): void {
  concludeHandled(scope, job, messages);
  leave(job);
}

function fail(scope: Scope, job: EventJob, leave: (job: EventJob) => void, error: unknown): void {
  // Cut off by the stop: no attempt of its own, the next start delivers the event again.
  if (scope.around.stopping.over) leave(job);
  else void concludeFailed(scope, job, error).finally(() => leave(job));
}

function effectMessage(scope: Scope, handler: string, event: CloudEvent): BatchMessage {
  const effect = effectOf(event);
  checkEffectSize(effect, scope.broker.maxPayloadBytes, handler);
  return effect;
}
