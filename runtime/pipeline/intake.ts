// One stream's way into the lanes of a session: its deliveries are noted, decoded and deduped, in stream order.
// I1 Deliveries come with consumer sequences 1, 2, 3 …: on a gap somebody else pulled, and the session ends.
// I2 An event meets the identity index before its lane, in stream order.
// I3 Whatever a message or a declaration holds, nothing is thrown into the client's callback.
import type { ConsumerInfo, Delivery } from "../broker/index.ts";
import { decodeStored, type EddyError } from "../events/index.ts";
import { concludeDuplicate } from "./conclude.ts";
import { faultError, subjectError, wantedSubjects } from "./contract.ts";
import { FirstJob } from "./first-job.ts";
import type { Identities } from "./identities/identities.ts";
import type { Floor } from "./ledger/floor.ts";
import type { DeadReason } from "./outcome.ts";
import { createQueue } from "./queue.ts";
import type { EventJob, Job, Scope } from "./scope.ts";

/** A stream that a handler reads, while a session reads it. */
export interface Input {
  readonly stream: string;
  /** When the stream was created: verdicts of another one of that name do not count. */
  readonly createdMs: number;
  readonly floor: Floor<Delivery>;
  readonly identities: Identities;
}

export interface Intake {
  readonly stream: string;
  take(delivery: Delivery): void;
  /** A delivery that is not run: it ended the process too often. */
  condemn(delivery: Delivery, cause: EddyError): void;
  /** Resolves once the verdicts on these deliveries are known: then only their handler is between them and the end. */
  foreseen(deliveries: readonly Delivery[]): Promise<void>;
  /** Moves the floor of a handler that has nothing in flight or unread up to a position; false where it has. */
  raise(to: number, info: ConsumerInfo): boolean;
  /** A ledger record was stored. */
  settle(): void;
  /** What is in flight takes longer: the server waits anew. */
  touch(): void;
  /** Hands on nothing any more. */
  clear(): void;
  /** End of what listens to the index. */
  end(): void;
  /** Events that wait for their verdict. */
  readonly waiting: number;
  readonly inFlight: number;
  /** Of deliveries above the floor: headers and data. */
  readonly heldBytes: number;
  /** Deliveries that have arrived. */
  readonly received: number;
  /** How many of them were of no wanted type. */
  readonly unwanted: number;
}

export interface IntakeParts {
  readonly scope: Scope;
  readonly input: Input;
  readonly onGap: (due: number, got: number) => void;
  readonly intoLane: (job: EventJob) => void;
  readonly dead: (job: Job, reason: DeadReason, cause: EddyError) => void;
  /** A position holds no event of the handler, or none that is new: the floor has to pass it. */
  readonly onPassed: () => void;
  /** Nothing waits for a verdict any more. */
  readonly onReleased: () => void;
}

export function createIntake(parts: IntakeParts): Intake {
  const { scope, intoLane, dead } = parts;
  const { stream, createdMs, floor, identities } = parts.input;
  const waiting = createQueue<{ job: EventJob; type: string }>(); // for their verdict
  let wanted = wantedSubjects(scope.handler());
  let received = 0;
  let unwanted = 0;
  let lastSeq = floor.passed;
  let heldBytes = 0; // of deliveries that the floor has not passed
  const unlisten = identities.onProgress(release);

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
    identities.deliver(createdMs, delivery);
    parts.onPassed();
    return undefined;
  }

  function decode(delivery: Delivery, slot: number): void {
    const { natsSubject: subject, seq, raw, headerLength } = delivery;
    if (scope.handler().declaration.from !== wanted.from) wanted = wantedSubjects(scope.handler());
    const type = wanted.types.get(subject.slice(0, subject.lastIndexOf(".")));
    if (type === undefined) {
      unwanted++;
      identities.deliver(createdMs, delivery);
      floor.include(slot);
      parts.onPassed();
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
    parts.onReleased();
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

  function condemn(delivery: Delivery, cause: EddyError): void {
    if (!scope.alive()) return;
    const slot = arrive(delivery);
    if (slot === undefined) return;
    const decoded = decodeStored(delivery.raw, delivery.headerLength);
    const event = decoded.ok ? decoded.event : undefined;
    identities.deliver(createdMs, delivery, event);
    const handler = scope.handler();
    const job = new FirstJob(handler, stream, delivery, slot, event, performance.now());
    dead(job, "crash", cause);
  }

  function foreseen(deliveries: readonly Delivery[]): Promise<void> {
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
  }

  function letGo({ raw }: Delivery): void {
    heldBytes -= raw.byteLength;
  }

  return {
    stream,
    take,
    condemn,
    foreseen,
    raise(to, { num_pending: unread, delivered }) {
      // Not by the stream's sequence: the server moves it over what the filter skips.
      if (unread > 0 || floor.inFlight > 0 || delivered.consumer_seq !== received) return false;
      floor.raise(to);
      return true;
    },
    // The server learns of the floor only: one ack stands for all below it. A lost one is harmless.
    settle() {
      const reached = floor.advance(letGo);
      if (scope.alive()) reached?.ack();
    },
    touch() {
      floor.oldest()?.working();
    },
    clear: waiting.clear,
    end: unlisten,
    get waiting() {
      return waiting.size;
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
