// The way of a notification to its source: it asks, or another one's call answers it, or it waits for either.
// Owns the calls of one session. Who asks, and what is stored, is the same as for any reaction.
// T1 For each key there is one call at a time, and one in each share time; what it found is stored before the next.
// T2 A notification that another one's call answers is done after that answer is stored, never before.
// T3 None holds its lane for longer than its deadline without a call of its own: it is postponed, which costs no attempt.
// T4 While the circuit is open, a call that fails costs no attempt either.
import { type Enrichment, Permanent } from "../../authoring/index.ts";
import type { BatchMessage } from "../../broker/index.ts";
import { EddyError } from "../../events/index.ts";
import { backoffOf, concludeFailed, concludeHandled, concludePostponed } from "../conclude.ts";
import type { EventJob, Scope } from "../scope.ts";
import { signal } from "../signal.ts";
import { createStopping, type Stopping } from "../stopping.ts";
import { createAnswers, type Last, nextFor } from "./answers.ts";
import { enrichmentKey } from "./key.ts";
import { type Call, sourceOf } from "./source.ts";

/** A notification's turn to ask. One of these ends it. */
export interface Turn {
  /** It was asked, and this is to be stored. */
  well(messages: readonly BatchMessage[]): void;
  /** Resolves once what follows is on its way to be stored. */
  badly(error: unknown): Promise<unknown>;
  /** Nothing was asked, or nobody waits for what comes of it. */
  none(): void;
}

export interface Turns {
  /** Ends in `start`, unless the notification needs no call, or cannot have one for now. */
  enter(job: EventJob, terms: TurnTerms, leave: Leave, start: (turn: Turn) => void): void;
  /** Who waits leaves, and is delivered again to whoever comes next. */
  stop(): void;
}

export interface TurnTerms {
  readonly enrichment: Enrichment;
  readonly deadlineMs: number;
}

type Leave = (job: EventJob) => void;

const failuresMax = 5;
const postponeMs = { first: 1_000, most: 30_000 };
const turns = new WeakMap<Scope, Turns>();

/** Ends those of a session, where it has any. */
export function stopTurns(scope: Scope): void {
  turns.get(scope)?.stop();
}

/** Those of a session: also where its handler has lanes of two kinds. */
export function turnsOf(scope: Scope): Turns {
  const known = turns.get(scope) ?? createTurns(scope);
  turns.set(scope, known);
  return known;
}

function createTurns(scope: Scope): Turns {
  const source = sourceOf(scope.around);
  const answers = createAnswers();
  const ending = createStopping();

  async function wait(job: EventJob, terms: TurnTerms): Promise<Turn | undefined> {
    const { enrichment, deadlineMs } = terms;
    const untilMs = performance.now() + deadlineMs;
    const key = enrichmentKey(enrichment, job.event);
    const handler = scope.handler().name;
    while (!ending.over && scope.alive()) {
      const next = nextFor(answers.get(key), job, enrichment.shareMs);
      switch (next.kind) {
        case "spared":
          scope.around.report({ kind: "enrich", handler, what: "saved" });
          concludeHandled(scope, job, []);
          return undefined;
        case "failed":
          await concludeFailed(scope, job, next.error);
          return undefined;
        case "wait":
          if (!(await within(ending, untilMs, next.over))) return await postpone(scope, job, 0);
          continue;
        case "ask": {
          if (next.atMs > untilMs) return await postpone(scope, job, next.atMs);
          if (next.atMs > performance.now()) {
            await within(ending, next.atMs);
            continue;
          }
          const bounds = enrichment;
          const most = Math.max(1, Math.min(failuresMax, backoffOf(scope, job).delaysMs.length));
          const asking = { handler, bounds, untilMs, ending, failuresMax: most };
          const call = await source.enter(asking);
          if (ending.over) {
            call?.unused();
            return undefined;
          }
          if (call === undefined) return await postpone(scope, job, source.opensAtMs);
          const last = answers.get(key); // of the time before that wait, or another one's
          if (nextFor(last, job, enrichment.shareMs).kind === "ask") {
            return begin(job, key, call);
          }
          call.unused();
        }
      }
    }
    return undefined;
  }

  function begin(job: EventJob, key: string, call: Call): Turn {
    const over = signal<void>();
    const beganMs = performance.now();
    const arrived = Math.max(scope.arrived ?? 0, job.position.seq);
    const handler = scope.handler().name;
    answers.set(key, { kind: "running", beganMs, over: over.promise });
    const end = (last: Last) => {
      answers.set(key, last);
      over.resolve();
    };
    return {
      well(messages) {
        call.answered();
        scope.around.report({ kind: "enrich", handler, what: "answered" });
        concludeHandled(scope, job, messages, (refused) => {
          if (refused === undefined) end({ kind: "stored", beganMs, arrived });
          else end({ kind: "failed", beganMs, error: refused });
        });
      },
      badly(error) {
        const culprit = culpritOf(error);
        endCall(call, culprit, error);
        scope.around.report({ kind: "enrich", handler, what: "failed" });
        const counts = culprit !== "source" || !source.isDown;
        end(counts ? { kind: "failed", beganMs, error } : { kind: "unanswered", beganMs });
        return counts ? concludeFailed(scope, job, error) : postpone(scope, job, source.opensAtMs);
      },
      none() {
        call.unused();
        answers.delete(key);
        over.resolve();
      },
    };
  }

  return {
    enter(job, terms, leave, start) {
      void wait(job, terms).then((turn) => {
        if (turn === undefined) leave(job);
        else start(turn);
      });
    },
    stop: ending.cutOff,
  };
}

/** Tried again after a moment that is by performance.now(); that costs no attempt. */
async function postpone(scope: Scope, job: EventJob, atMs: number): Promise<undefined> {
  const round = Math.min(job.postponed ?? 0, 10);
  const delayMs = Math.min(postponeMs.first * 2 ** round, postponeMs.most);
  const waitMs = Math.max(atMs - performance.now(), delayMs * (1 + Math.random() / 4));
  await concludePostponed(scope, job, new Date(Date.now() + waitMs));
}

/** Whether the work was over by then. Also true once the session ends. */
async function within(ending: Stopping, untilMs: number, work?: Promise<void>): Promise<boolean> {
  const { promise, resolve } = signal<boolean>();
  const cut = () => resolve(true);
  const timer = setTimeout(resolve, Math.max(0, Math.ceil(untilMs - performance.now())), false);
  ending.cuts.add(cut);
  void work?.then(cut);
  return await promise.finally(() => {
    clearTimeout(timer);
    ending.cuts.delete(cut);
  });
}

type Culprit =
  /** It did not answer, or not in time. */
  | "source"
  /** What it said: it is there. */
  | "answer"
  /** What the runtime says of the handler, such as that its thread was stopped. */
  | "handler";

function culpritOf(error: unknown): Culprit {
  if (error instanceof Permanent) return "answer";
  if (!(error instanceof EddyError) || error.code === "EDDY_DEADLINE") return "source";
  return error.code === "EDDY_ENRICH_ANSWER" ? "answer" : "handler";
}

function endCall(call: Call, culprit: Culprit, error: unknown): void {
  if (culprit === "source") call.failed(error);
  else if (culprit === "answer") call.answered();
  else call.unused();
}
