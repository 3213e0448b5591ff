// One event in its lane: handler, conclusion. The only place where user code runs, or is asked to run elsewhere.
import type { Handler } from "../authoring/index.ts";
import type { BatchMessage } from "../broker/index.ts";
import { isAway } from "../events/index.ts";
import { type Fetched, fetchWhole } from "./away/fetch.ts";
import { allFit, storeLarge } from "./away/store.ts";
import {
  concludeDead,
  concludeExpired,
  concludeFailed,
  concludeFiltered,
  concludeHandled,
} from "./conclude.ts";
import { contractError, isLeftOut } from "./contract.ts";
import { effectOf } from "./effect.ts";
import { type Turn, turnsOf } from "./enrich/turns.ts";
import { expiryOf } from "./expiry.ts";
import { type Folded, foldEvent } from "./fold.ts";
import { type Result, runReaction } from "./handle.ts";
import { attemptRemotely, type Remote, remoteOf } from "./remote.ts";
import type { EventJob, Scope } from "./scope.ts";
import { type Compact, createCompact } from "./state/compact.ts";
import { termsOf, type VersionTerms } from "./terms.ts";

/** Runs the current version of the handler on a job; `leave` frees its lane. */
export type Attempts = (job: EventJob) => void;

type Leave = (job: EventJob) => void;

/** What runs: a job, or one with its data put back. */
type Running = Pick<EventJob, "handler" | "event" | "position" | "attempt" | "original" | "key">;

export function createAttempts(scope: Scope, leave: Leave): Attempts {
  const compact = createCompact(scope);
  let handler: Handler | undefined;
  let remote: Remote | undefined;
  let terms: VersionTerms = { deadlineMs: 0, source: "", maxAgeMs: undefined };

  function current(): Handler {
    const now = scope.handler();
    if (now !== handler) {
      handler = now;
      remote = remoteOf(now);
      terms = termsOf(scope, now);
    }
    return now;
  }

  function run(job: EventJob, turn?: Turn): void {
    const now = current();
    if (job.handler !== now) {
      job.handler = now; // swapped while the event waited for its turn: it meets the new `where` too
      if (isLeftOut(now, job.event)) {
        turn?.none();
        leftOut(scope, job, leave);
        return;
      }
    }
    if (terms.maxAgeMs !== undefined || job.event.extensions.expirytime !== undefined) {
      if (job.anyAge === undefined && expire(scope, job, leave, terms.maxAgeMs)) {
        turn?.none();
        return;
      }
    }
    const { declaration } = now;
    if (turn === undefined && declaration.kind === "reaction" && declaration.enrichment) {
      const asking = { enrichment: declaration.enrichment, deadlineMs: terms.deadlineMs };
      turnsOf(scope).enter(job, asking, leave, (given) => run(job, given));
      return;
    }
    if (isAway(job.event)) void fetchAndStart(job, turn);
    else start(job, job, leave, turn);
  }

  // Its `where` and its contract could not be asked before.
  async function fetchAndStart(job: EventJob, turn?: Turn): Promise<void> {
    let whole: Fetched | undefined;
    try {
      whole = await fetchWhole(scope, job);
    } catch (error) {
      fail(scope, job, leave, error, turn);
      return;
    }
    if (whole === undefined) {
      turn?.none();
      leave(job); // the session is over
      return;
    }
    const { event, original, release } = whole;
    const leaveAfter: Leave = (left) => {
      release();
      leave(left);
    };
    job.handler = current();
    if (isLeftOut(job.handler, event)) {
      turn?.none();
      leftOut(scope, job, leaveAfter);
      return;
    }
    const broken = contractError(job.handler, event);
    if (broken !== undefined) {
      turn?.none();
      void concludeDead(scope, job, "schema", broken).finally(() => leaveAfter(job));
      return;
    }
    const { position, attempt, key } = job;
    start({ handler: job.handler, event, original, position, attempt, key }, job, leaveAfter, turn);
  }

  function start(running: Running, job: EventJob, leave: Leave, turn?: Turn): void {
    const { declaration } = job.handler;
    if (compact !== undefined) {
      endCompact(scope, job, leave, () => compact(job, running.event));
      return;
    }
    if (remote !== undefined) {
      void attemptRemotely(remote, scope, running, terms).then(
        (messages) => endStored(scope, job, leave, messages, turn),
        (error: unknown) => fail(scope, job, leave, error, turn),
      );
      return;
    }
    if (declaration.kind === "projection") {
      const { entries } = scope;
      if (entries === undefined) throw new RangeError("a projection needs its entries");
      const folded = foldEvent(declaration, running.event, job.key, entries);
      if (folded instanceof Promise) void folded.then((later) => endFold(scope, job, leave, later));
      else endFold(scope, job, leave, folded);
      return;
    }
    const result = runReaction(declaration, running, terms, scope.around);
    if (result instanceof Promise)
      void result.then((later) => endRun(scope, job, leave, later, turn));
    else endRun(scope, job, leave, result, turn);
  }

  return run;
}

function leftOut(scope: Scope, job: EventJob, leave: Leave): void {
  concludeFiltered(scope, job);
  leave(job);
}

/** Concludes an event that is too old; false where it may run. */
function expire(scope: Scope, job: EventJob, leave: Leave, maxAgeMs: number | undefined): boolean {
  const policy = expiryOf(job.event, job.original.timeMs, maxAgeMs, Date.now());
  if (policy === undefined) return false;
  void concludeExpired(scope, job, policy).finally(() => leave(job));
  return true;
}

function endFold(scope: Scope, job: EventJob, leave: Leave, folded: Folded): void {
  if (folded.kind === "threw") {
    fail(scope, job, leave, folded.error);
    return;
  }
  endWell(scope, job, leave, [folded.message]);
}

function endCompact(
  scope: Scope,
  job: EventJob,
  leave: Leave,
  compacted: () => ReturnType<Compact>,
): void {
  const end = (messages: readonly BatchMessage[]) => endWell(scope, job, leave, messages);
  const failed = (error: unknown) => fail(scope, job, leave, error);
  let messages: ReturnType<Compact>;
  try {
    messages = compacted();
  } catch (error) {
    failed(error);
    return;
  }
  if (messages instanceof Promise) void messages.then(end, failed);
  else end(messages);
}

function endRun(scope: Scope, job: EventJob, leave: Leave, result: Result, turn?: Turn): void {
  if (result.kind === "threw") {
    fail(scope, job, leave, result.error, turn);
    return;
  }
  let messages: readonly BatchMessage[];
  try {
    messages = result.emitted.map(effectOf);
  } catch (error) {
    fail(scope, job, leave, error, turn);
    return;
  }
  if (allFit(scope, messages)) endWell(scope, job, leave, messages, turn);
  else {
    void storeLarge(scope, job.handler.name, messages).then(
      (stored) => endStored(scope, job, leave, stored, turn),
      (error: unknown) => fail(scope, job, leave, error, turn),
    );
  }
}

function endStored(
  scope: Scope,
  job: EventJob,
  leave: Leave,
  messages: readonly BatchMessage[] | undefined,
  turn?: Turn,
): void {
  if (messages === undefined) {
    turn?.none();
    leave(job);
  } else endWell(scope, job, leave, messages, turn);
}

function endWell(
  scope: Scope,
  job: EventJob,
  leave: Leave,
  messages: readonly BatchMessage[],
  turn?: Turn,
): void {
  if (turn === undefined) concludeHandled(scope, job, messages);
  else turn.well(messages);
  leave(job);
}

function fail(scope: Scope, job: EventJob, leave: Leave, error: unknown, turn?: Turn): void {
  // Cut off by the stop: no attempt of its own, the next start delivers the event again.
  if (scope.around.stopping.over) {
    turn?.none();
    leave(job);
    return;
  }
  const concluded = turn === undefined ? concludeFailed(scope, job, error) : turn.badly(error);
  void concluded.finally(() => leave(job));
}
