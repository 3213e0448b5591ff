// The life of a handler's events while one instance holds its ledger: consumed, decoded, deduped, into lanes.
// S1 Deliveries come with consumer sequences 1, 2, 3 …: on a gap somebody else pulled, and the session ends.
// S2 An event meets the identity index before its lane, in stream order. S3 A session that is over settles nothing.
import { listOf, parseDuration } from "../authoring/index.ts";
import { headerBlock, type JsMsg } from "../broker/index.ts";
import { validatorOf } from "../contracts/index.ts";
import {
  type CloudEvent,
  decodeMessage,
  EddyError,
  type Fault,
  keyOf,
  nameOf,
  natsSubject,
  parseHeaderBlock,
  typeTokens,
} from "../events/index.ts";
import { runAttempt } from "./attempt.ts";
import { concludeDead, concludeDuplicate, concludeFailed } from "./conclude.ts";
import { entryKey } from "./fold.ts";
import type { Identities } from "./identities/index-reader.ts";
import { createLanes } from "./lanes.ts";
import type { Floor } from "./ledger/floor.ts";
import type { Original } from "./retry/parcel.ts";
import type { Job, Scope } from "./scope.ts";

/** Handlers of one declaration that run side by side at most. */
const laneWidth = 256;
const waitingSwept = 4_096; // entries that were released are let go together: shifting each costs the square
const progressMs = 200; // how long positions without an outcome may wait for their ledger record,
const passedMax = 4_000; // and how many of them: well below what the server lets be un-acked

export interface Session {
  take(message: JsMsg): void;
  /** An event that comes back: a retry that is due, or a letter that is given back. */
  takeAgain(job: Job): void;
  /** Starts nothing any more, and waits until what runs is concluded. */
  drained(): Promise<void>;
  /** What is in flight changes nothing any more. */
  end(): void;
  readonly inFlight: number;
}

export interface SessionParts {
  readonly scope: Scope;
  readonly floor: Floor<JsMsg>;
  readonly identities: Identities;
  readonly stream: string;
  readonly onGap: (expected: number, got: number) => void;
}

export function startSession(parts: SessionParts): Session {
  const { scope, floor, identities, stream } = parts;
  const lanes = createLanes(laneWidth);
  let waiting: { message: JsMsg; slot: number }[] = []; // for the identity index to catch up
  let next = 0; // the first of them that still waits
  let wanted = wantedSubjects(scope);
  let expected = 1;
  let passed = 0; // positions without an outcome since the last ledger record
  let deadSeen = 0; // conclusions under way outside of lanes
  let drainWaiters: (() => void)[] = [];
  const unlisten = identities.onProgress(release);
  const progress = setInterval(recordProgress, progressMs);
  const touch = setInterval(() => floor.oldest()?.working(), touchEveryMs(scope));

  function take(message: JsMsg): void {
    if (!scope.alive()) return;
    const { deliverySequence, streamSequence } = message.info;
    if (deliverySequence !== expected) {
      parts.onGap(expected, deliverySequence);
      return;
    }
    expected++;
    const slot = floor.deliver(streamSequence, message);
    if (slot === undefined) {
      passed++;
      return;
    }
    if (next < waiting.length || identities.passed < streamSequence)
      waiting.push({ message, slot });
    else decode(message, slot);
  }

  function release(): void {
    while (next < waiting.length && identities.passed >= (waiting[next]?.message.seq ?? 0)) {
      const { message, slot } = waiting[next++] as { message: JsMsg; slot: number };
      if (scope.alive()) decode(message, slot);
    }
    if (next === waiting.length || next >= waitingSwept) {
      waiting = waiting.slice(next);
      next = 0;
    }
  }

  function decode(message: JsMsg, slot: number): void {
    const { subject, seq } = message;
    if (scope.handler().declaration.from !== wanted.from) wanted = wantedSubjects(scope);
    const type = wanted.types.get(subject.slice(0, subject.lastIndexOf(".")));
    if (type === undefined) {
      pass(slot);
      return;
    }
    const block = headerBlock(message);
    const decoded = decodeMessage(
      block === undefined ? undefined : parseHeaderBlock(block),
      message.data,
    );
    const original: Original = {
      position: { stream, seq },
      natsSubject: subject,
      timeMs: message.info.timestampNanos / 1e6,
      ...(block === undefined ? {} : { headers: block }),
      data: message.data,
    };
    if (!decoded.ok) {
      dead(firstJob(original, slot), "undecodable", faultError(decoded.fault, original));
      return;
    }
    dedupe(firstJob(original, slot, decoded.event), decoded.event, type);
  }

  function dedupe(job: Job, event: CloudEvent, type: string): void {
    const firstSeq = identities.repeatOf(job.original.position.seq);
    if (firstSeq !== 0) {
      concludeDuplicate(scope, job, firstSeq);
      return;
    }
    if (event.type !== type) {
      const text = `${nameOf(event)} was stored on ${job.original.natsSubject}, which is for events of type ${type}`;
      dead(job, "undecodable", new EddyError("EDDY_EVENT_ATTRIBUTE", text, { attribute: "type" }));
      return;
    }
    intoLane(job, event);
  }

  function intoLane(job: Job, event: CloudEvent): void {
    const broken = contractError(scope, event);
    if (broken !== undefined) {
      dead(job, "schema", broken);
      return;
    }
    let key: string;
    try {
      const { declaration } = scope.handler();
      key = declaration.kind === "projection" ? entryKey(declaration, event) : keyOf(event);
    } catch (error) {
      outside(concludeFailed(scope, job, error));
      return;
    }
    lanes.enter(key, (leave) => {
      if (scope.alive()) runAttempt(scope, { ...job, key }, event, () => left(leave));
      else left(leave);
    });
  }

  function left(leave: () => void): void {
    leave();
    if (lanes.occupied === 0) wakeDrained();
  }

  function firstJob(original: Original, slot: number, event?: CloudEvent): Job {
    return {
      handler: scope.handler(),
      original,
      attempt: 1,
      attempts: [],
      from: "new",
      slot,
      beganMs: performance.now(),
      onStored: settle,
      ...(event === undefined ? {} : { event }),
    };
  }

  function dead(job: Job, reason: "undecodable" | "schema", cause: EddyError): void {
    outside(concludeDead(scope, job, reason, cause));
  }

  function outside(conclusion: Promise<void>): void {
    deadSeen++;
    void conclusion.finally(() => {
      deadSeen--;
      wakeDrained();
    });
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
      settlement: {},
      messages: [],
      onStored: settle,
      onRefused: () => {},
    });
  }

  // The server learns of the floor only: one ack stands for all below it. A lost one is harmless.
  function settle(): void {
    floor.advance()?.ack();
  }

  function wakeDrained(): void {
    if (lanes.occupied > 0 || deadSeen > 0) return;
    const waiters = drainWaiters;
    drainWaiters = [];
    for (const wake of waiters) wake();
  }

  return {
    take,
    takeAgain(job) {
      if (job.event === undefined) {
        const text = "the message is no event any version could read";
        dead(job, "undecodable", new EddyError("EDDY_EVENT_MALFORMED", text));
        return;
      }
      intoLane(job, job.event);
    },
    drained() {
      waiting = [];
      next = 0;
      lanes.clear();
      if (lanes.occupied === 0 && deadSeen === 0) return Promise.resolve();
      return new Promise((resolve) => drainWaiters.push(resolve));
    },
    end() {
      clearInterval(progress);
      clearInterval(touch);
      unlisten();
      waiting = [];
      next = 0;
      lanes.clear();
      wakeDrained();
    },
    get inFlight() {
      return floor.inFlight;
    },
  };
}

/** How long the server waits for an ack: longer than any attempt may take. */
export function ackWaitMs(scopeDeadlineMs: number): number {
  return Math.max(60_000, 2 * scopeDeadlineMs + 30_000);
}

function touchEveryMs(scope: Scope): number {
  const { deadline } = scope.handler().declaration.options;
  return ackWaitMs(parseDuration(deadline) ?? scope.defaults.deadlineMs) / 2;
}

// Subject without its key token, to the type that it promises.
function wantedSubjects(scope: Scope) {
  const { from } = scope.handler().declaration;
  const types = new Map(
    listOf(from).map(({ type }) => [natsSubject("events", ...typeTokens(type)), type] as const),
  );
  return { from, types };
}

function contractError(scope: Scope, event: CloudEvent): EddyError | undefined {
  const type = scope.handler().declaration.from.find((known) => known.type === event.type);
  const wrong = type === undefined ? [] : validatorOf(type.schema)(event.data);
  if (wrong.length === 0) return undefined;
  return new EddyError(
    "EDDY_DATA_INVALID",
    `${scope.handler().name} cannot take ${nameOf(event)}: ${wrong.join("; ")}. Fix the producer or the schema, then give it back: eddy dead replay`,
  );
}

function faultError(fault: Fault, { position, natsSubject: subject }: Original): EddyError {
  const attribute = fault.attribute === undefined ? {} : { attribute: fault.attribute };
  return new EddyError(
    fault.code,
    `the message at ${position.stream} ${position.seq} (${subject}) is no event: ${fault.message}`,
    attribute,
  );
}
