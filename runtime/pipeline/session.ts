// The life of a handler's events while one instance holds its ledger: consumed, decoded, deduped, into lanes.
// S1 Deliveries come with consumer sequences 1, 2, 3 …: on a gap somebody else pulled, and the session ends.
// S2 An event meets the identity index before its lane, in stream order. S3 A session that is over settles nothing.
// S4 Whatever a message or a declaration holds, nothing is thrown into the client's callback.
// S5 What the handler's `where` leaves out is deduped, and then comes to no lane and is not held to its contract.
// S6 Data that is outside is fetched when the event's turn has come, so that its key waits for it and no other; what a
// projection's key is made of is fetched before, and then the later events of that handler wait.
import { parseDuration } from "../authoring/index.ts";
import type { ConsumerInfo, Delivery } from "../broker/index.ts";
import { decodeStored, type EddyError, inputError } from "../events/index.ts";
import { createAttempts } from "./attempt.ts";
import { concludeDead, concludeDuplicate, concludeFailed, concludeFiltered } from "./conclude.ts";
import { ackWaitMs } from "./consume.ts";
import { contractError, faultError, isLeftOut, subjectError, wantedSubjects } from "./contract.ts";
import { stopTurns } from "./enrich/turns.ts";
import { FirstJob } from "./first-job.ts";
import { createGate } from "./gate.ts";
import type { Identities } from "./identities/identities.ts";
import { createInOrder } from "./in-order.ts";
import { keyOfJob } from "./job-key.ts";
import { createLanes } from "./lanes.ts";
import type { Floor } from "./ledger/floor.ts";
import type { DeadReason } from "./outcome.ts";
import { createQueue } from "./queue.ts";
import { type EventJob, hasEvent, type Job, type Scope } from "./scope.ts";

/** Handlers of one declaration that run side by side at most. */
const laneWidth = 256;
/** Conclusions side by side of events that need no lane, such as letters of what is no event. */
const outsideWidth = 64;
const progressMs = 200; // how long positions without an outcome may wait for their ledger record,
const passedMax = 4_000; // and how many of them: well below what the server lets be un-acked

export interface Session {
  take(delivery: Delivery): void;
  /** An event that comes back: a retry that is due, or a letter that is given back. */
  takeAgain(job: Job): void;
  /** A delivery that is not run: it ended the process too often. */
  condemn(delivery: Delivery, cause: EddyError): void;
  /** Resolves once the verdicts on these deliveries are known: then only their handler is between them and the end. */
  foreseen(deliveries: readonly Delivery[]): Promise<void>;
  /** Resolves once nothing waits or runs, and what was concluded is on its way to be stored. */
  quiet(): Promise<void>;
  /** Moves the floor of a handler that has nothing in flight or unread up to a position; false where it has. */
  raise(to: number, info: ConsumerInfo): boolean;
  /** A ledger record was stored. */
  settle(): void;
  /** Starts nothing any more, and waits until what runs is concluded. */
  finished(): Promise<void>;
  /** What is in flight changes nothing any more. */
  end(): void;
  readonly inFlight: number;
  /** Of deliveries above the floor: headers and data. */
  readonly heldBytes: number;
  /** Deliveries that have arrived. */
  readonly received: number;
  /** How many of them were of no wanted type. */
  readonly unwanted: number;
}

export interface SessionParts {
  readonly scope: Scope;
  readonly floor: Floor<Delivery>;
  readonly identities: Identities;
  /** The stream that is read, and when it was created: verdicts of another one of that name do not count. */
  readonly input: { readonly stream: string; readonly createdMs: number };
  readonly onGap: (due: number, got: number) => void;
}

export function startSession(parts: SessionParts): Session {
  const { scope, floor, identities } = parts;
  const { stream, createdMs } = parts.input;
  const attempt = createAttempts(scope, left);
  const lanes = createLanes<EventJob>(laneWidth, (job) =>
    scope.alive() ? attempt(job) : left(job),
  );
  const inOrder = createInOrder();
  const waiting = createQueue<{ job: EventJob; type: string }>(); // for their verdict
  let wanted = wantedSubjects(scope.handler());
  let received = 0;
  let unwanted = 0;
  let lastSeq = floor.passed;
  let heldBytes = 0; // of deliveries that the floor has not passed
  let passed = 0; // positions without an outcome since the last ledger record
  const outside = createGate(outsideWidth, wakeFinishers); // conclusions of what has no lane
  let asking = 0; // events whose key another thread is asked for
  let finishers: (() => void)[] = [];
  const unlisten = identities.onProgress(release);
  const progress = setInterval(recordProgress, progressMs);
  const touch = setInterval(() => floor.oldest()?.working(), touchEveryMs(scope));

  scope.held?.begin({ laneWidth, left: wakeFinishers, outside: outside.enter });

  function take(delivery: Delivery): void {
    if (!scope.alive()) return;
    const slot = arrive(delivery);
    if (slot !== undefined) decode(delivery, slot);
  }

  /** The floor's slot; undefined where there is nothing to do. */
  function arrive(delivery: Delivery): number | undefined {
    const { deliverySeq, seq } = delivery;
    if (deliverySeq !== received + 1) {
      parts.onGap(received + 1, deliverySeq);
      return undefined;
    }
    received++;
    const slot = floor.deliver(seq, delivery);
    if (seq > lastSeq) heldBytes += delivery.raw.byteLength;
    lastSeq = Math.max(lastSeq, seq);
    scope.arrived = Math.max(scope.arrived ?? 0, lastSeq);
    if (slot !== undefined) return slot;
    passed++;
    identities.deliver(createdMs, delivery);
    return undefined;
  }

  function decode(delivery: Delivery, slot: number): void {
    const { natsSubject: subject, seq, raw, headerLength } = delivery;
    if (scope.handler().declaration.from !== wanted.from) wanted = wantedSubjects(scope.handler());
    const type = wanted.types.get(subject.slice(0, subject.lastIndexOf(".")));
    if (type === undefined) {
      unwanted++;
      identities.deliver(createdMs, delivery);
      pass(slot);
      return;
    }
    const decoded = decodeStored(raw, headerLength);
    const handler = scope.handler();
    const now = performance.now();
    if (!decoded.ok) {
      identities.deliver(createdMs, delivery);
      const job = new FirstJob(handler, stream, delivery, slot, undefined, now);
      dead(job, "undecodable", faultError(decoded.fault, job.original));
      return;
    }
    // A fact: what a handler writes into it must not change how it is named afterwards.
    const event = Object.freeze(decoded.event);
    identities.deliver(createdMs, delivery, event);
    const job = new FirstJob(handler, stream, delivery, slot, event, now);
    if (waiting.size > 0 || !identities.knows(createdMs, seq)) waiting.push({ job, type });
    else dedupe(job, type);
  }

  function release(): void {
    for (let next = waiting.peek(); next !== undefined; next = waiting.peek()) {
      if (!identities.knows(createdMs, next.job.position.seq)) return;
      waiting.shift();
      if (scope.alive()) dedupe(next.job, next.type);
    }
    wakeFinishers();
  }

  function dedupe(job: EventJob, type: string): void {
    const { event, position } = job;
    const firstSeq = identities.repeatOf(position.seq);
    if (firstSeq !== 0) {
      concludeDuplicate(scope, job, firstSeq);
      return;
    }
    if (event.type !== type) {
      dead(job, "undecodable", subjectError(event, job.original.natsSubject, type));
      return;
    }
    intoLane(job);
  }

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

  function letGo({ raw }: Delivery): void {
    heldBytes -= raw.byteLength;
  }

  function dead(job: Job, reason: DeadReason, cause: EddyError): void {
    outside.enter(() => concludeDead(scope, job, reason, cause));
  }

  // A position that holds no event of the handler: nothing to count, but the floor has to pass it.
  function pass(slot: number): void {
    floor.include(slot);
    if (++passed >= passedMax) recordProgress();
  }

  function recordProgress(): void {
    if (passed === 0 || !scope.alive()) return;
    passed = 0;
    scope.committer.submit({
      ledger: scope.ledger,
      slot: undefined,
      move: undefined,
      messages: [],
      onStored() {},
      onRefused() {},
    });
  }

  function isBusy(): boolean {
    return (
      waiting.size > 0 ||
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

  return {
    take,
    takeAgain(job) {
      if (hasEvent(job)) return intoLane(job);
      const text = "the message is no event any version could read";
      dead(job, "undecodable", inputError("EDDY_EVENT_MALFORMED", text));
    },
    condemn(delivery, cause) {
      if (!scope.alive()) return;
      const slot = arrive(delivery);
      if (slot === undefined) return;
      const decoded = decodeStored(delivery.raw, delivery.headerLength);
      const event = decoded.ok ? decoded.event : undefined;
      identities.deliver(createdMs, delivery, event);
      const handler = scope.handler();
      const job = new FirstJob(handler, stream, delivery, slot, event, performance.now());
      dead(job, "crash", cause);
    },
    foreseen(deliveries) {
      for (const delivery of deliveries) identities.deliver(createdMs, delivery);
      const seqs = deliveries.map(({ seq }) => seq);
      return new Promise((resolve) => {
        const look = () => {
          if (scope.alive() && !seqs.every((seq) => identities.knows(createdMs, seq))) return;
          unlook();
          resolve();
        };
        const unlook = identities.onProgress(look);
        look();
      });
    },
    quiet: untilNothingRuns,
    raise(to, { num_pending: unread, delivered }) {
      // Not by the stream's sequence: the server moves it over what the filter skips.
      if (unread > 0 || floor.inFlight > 0 || delivered.consumer_seq !== received) return false;
      floor.raise(to);
      passed++;
      recordProgress();
      return true;
    },
    // The server learns of the floor only: one ack stands for all below it. A lost one is harmless.
    settle() {
      const reached = floor.advance(letGo);
      if (scope.alive()) reached?.ack();
    },
    finished() {
      scope.held?.stop();
      stopTurns(scope);
      waiting.clear();
      lanes.clear();
      outside.clear();
      return untilNothingRuns();
    },
    end() {
      clearInterval(progress);
      clearInterval(touch);
      unlisten();
      scope.held?.stop();
      stopTurns(scope);
      waiting.clear();
      lanes.clear();
      outside.clear();
      wakeFinishers();
    },
    get inFlight() {
      return floor.inFlight;
    },
    get heldBytes() {
      return heldBytes;
    },
    get received() {
      return received;
    },
    get unwanted() {
      return unwanted;
    },
  };
}

function touchEveryMs(scope: Scope): number {
  const { deadline } = scope.handler().declaration.options;
  return ackWaitMs(parseDuration(deadline) ?? scope.defaults.deadlineMs) / 2;
}
