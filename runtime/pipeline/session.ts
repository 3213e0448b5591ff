// The life of a handler's events while one instance holds its ledger: what its streams bring goes into lanes, which they
// share, so that one event of a key runs at a time whichever stream it came from.
// S1 A session that is over settles nothing. S2 What the handler's `where` leaves out is deduped, and then comes to no lane
// and is not held to its contract.
// S3 Data that is outside is fetched when the event's turn has come, so that its key waits for it and no other; what a
// projection's key is made of is fetched before, and then the later events of that handler wait.
import { parseDuration } from "../authoring/index.ts";
import { type EddyError, inputError } from "../events/index.ts";
import { createAttempts } from "./attempt.ts";
import { concludeDead, concludeFailed, concludeFiltered } from "./conclude.ts";
import { ackWaitMs } from "./consume.ts";
import { contractError, isLeftOut } from "./contract.ts";
import { stopTurns } from "./enrich/turns.ts";
import { createGate } from "./gate.ts";
import { unitAside } from "./group.ts";
import { createInOrder } from "./in-order.ts";
import { createIntake, type Input, type Intake } from "./intake.ts";
import { keyOfJob } from "./job-key.ts";
import { createLanes } from "./lanes.ts";
import type { DeadReason } from "./outcome.ts";
import { type EventJob, hasEvent, type Job, type Scope } from "./scope.ts";

/** Handlers of one declaration that run side by side at most. */
const laneWidth = 256;
/** Conclusions side by side of events that need no lane, such as letters of what is no event. */
const outsideWidth = 64;
const progressMs = 200; // how long positions without an outcome may wait for their ledger record,
const passedMax = 4_000; // and how many of them: well below what the server lets be un-acked

export interface Session {
  /** One for each stream, in their order. */
  readonly intakes: readonly [Intake, ...Intake[]];
  /** An event that comes back: a retry that is due, or a letter that is given back. */
  takeAgain(job: Job): void;
  /** Resolves once nothing waits or runs, and what was concluded is on its way to be stored. */
  quiet(): Promise<void>;
  /** Stores how far the floors have come, where something passed without an outcome. */
  recordProgress(): void;
  /** A ledger record was stored. */
  settle(): void;
  /** Starts nothing any more, and waits until what runs is concluded. */
  finished(): Promise<void>;
  /** What is in flight changes nothing any more. */
  end(): void;
  readonly inFlight: number;
  /** Of deliveries above the floors: headers and data. */
  readonly heldBytes: number;
}

export interface SessionParts {
  readonly scope: Scope;
  /** The home stream first. */
  readonly inputs: readonly [Input, ...Input[]];
  readonly onGap: (stream: string, due: number, got: number) => void;
}

export function startSession({ scope, inputs, onGap }: SessionParts): Session {
  const attempt = createAttempts(scope, left);
  const lanes = createLanes<EventJob>(laneWidth, (job) =>
    scope.alive() ? attempt(job) : left(job),
  );
  const inOrder = createInOrder();
  let passed = 0; // positions without an outcome since the last ledger record
  const outside = createGate(outsideWidth, wakeFinishers); // conclusions of what has no lane
  let asking = 0; // events whose key another thread is asked for
  let finishers: (() => void)[] = [];
  const intakeOf = (input: Input): Intake =>
    createIntake({
      ...{ scope, input, intoLane, dead, onPassed, onReleased: wakeFinishers },
      onGap: (due, got) => onGap(input.stream, due, got),
    });
  const [home, ...others] = inputs;
  const intakes: [Intake, ...Intake[]] = [intakeOf(home), ...others.map(intakeOf)];
  const progress = setInterval(recordProgress, progressMs);
  const touch = setInterval(() => {
    for (const intake of intakes) intake.touch();
  }, touchEveryMs(scope));

  scope.held?.begin({ laneWidth, left: wakeFinishers, outside: outside.enter });

  function intoLane(job: EventJob): void {
    const handler = scope.handler();
    if (isLeftOut(handler, job.event)) {
      concludeFiltered(scope, job);
      return;
    }
    if (scope.held !== undefined) {
      scope.held.enter(job);
      return;
    }
    const broken = contractError(handler, job.event);
    if (broken !== undefined) {
      dead(job, "schema", broken);
      return;
    }
    let key: string | Promise<string>;
    try {
      key = keyOfJob(scope, job);
    } catch (error) {
      outside.enter(() => concludeFailed(scope, job, error));
      return;
    }
    const entered = inOrder(
      key,
      (known) => enter(job, known),
      (error) => {
        if (!scope.around.stopping.over) outside.enter(() => concludeFailed(scope, job, error));
      },
    );
    if (entered !== undefined) void untilEntered(entered);
  }

  function enter(job: EventJob, key: string): void {
    job.key = key;
    lanes.enter(key, job);
  }

  async function untilEntered(entered: Promise<void>): Promise<void> {
    asking++;
    await entered;
    asking--;
    wakeFinishers();
  }

  function left(job: EventJob): void {
    lanes.leave(job.key);
    if (lanes.occupied === 0) wakeFinishers();
  }

  function dead(job: Job, reason: DeadReason, cause: EddyError): void {
    outside.enter(() => concludeDead(scope, job, reason, cause));
  }

  function onPassed(): void {
    if (++passed >= passedMax) recordProgress();
  }

  function recordProgress(): void {
    if (passed === 0 || !scope.alive()) return;
    passed = 0;
    scope.committer.submit(unitAside(scope.ledger, []));
  }

  function isBusy(): boolean {
    return (
      intakes.some(({ waiting }) => waiting > 0) ||
      lanes.occupied > 0 ||
      outside.running + asking > 0 ||
      (scope.held?.occupied ?? 0) > 0
    );
  }

  function untilNothingRuns(): Promise<void> {
    return new Promise((resolve) => {
      finishers.push(resolve);
      wakeFinishers();
    });
  }

  function wakeFinishers(): void {
    if (finishers.length === 0 || isBusy()) return;
    const waiters = finishers;
    finishers = [];
    for (const wake of waiters) wake();
  }

  function startNothing(): void {
    scope.held?.stop();
    stopTurns(scope);
    for (const intake of intakes) intake.clear();
    lanes.clear();
    outside.clear();
  }

  return {
    intakes,
    takeAgain(job) {
      if (hasEvent(job)) return intoLane(job);
      const text = "the message is no event any version could read";
      dead(job, "undecodable", inputError("EDDY_EVENT_MALFORMED", text));
    },
    quiet: untilNothingRuns,
    recordProgress() {
      passed++;
      recordProgress();
    },
    settle() {
      for (const intake of intakes) intake.settle();
    },
    finished() {
      startNothing();
      return untilNothingRuns();
    },
    end() {
      clearInterval(progress);
      clearInterval(touch);
      for (const intake of intakes) intake.end();
      startNothing();
      wakeFinishers();
    },
    get inFlight() {
      return sum(intakes, (intake) => intake.inFlight);
    },
    get heldBytes() {
      return sum(intakes, (intake) => intake.heldBytes);
    },
  };
}

function sum(intakes: readonly Intake[], of: (intake: Intake) => number): number {
  let all = 0;
  for (const intake of intakes) all += of(intake);
  return all;
}

function touchEveryMs(scope: Scope): number {
  const { deadline } = scope.handler().declaration.options;
  return ackWaitMs(parseDuration(deadline) ?? scope.defaults.deadlineMs) / 2;
}
