// What comes back to one handler: retries that are due and letters that were given back, read by a consumer of the
// handler's own while it runs. So what a handler left that is gone, or runs elsewhere, holds up nobody.
// Q1 A message leaves the RETRY stream only after what it led to is stored. Q2 One run of an event at a time.
// Q3 Whoever begins to read gets all that is left, also what was delivered to somebody who is gone.
import {
  AckPolicy,
  type Delivery,
  type DurableRead,
  durable,
  ensureConsumer,
  nanos,
  readDurable,
  readMessage,
  removeMessage,
  retryStream,
  windConsumer,
} from "../../broker/index.ts";
import {
  decodeMessage,
  describeThrown,
  EddyError,
  parseHeaderBlock,
  positionText,
} from "../../events/index.ts";
import { concludeDead } from "../conclude.ts";
import { createAgain } from "../crashes/again.ts";
import { decodeRelease, type Release } from "../held/release.ts";
import { consumerName } from "../ledger/place.ts";
import type { Job, Scope } from "../scope.ts";
import type { Session } from "../session.ts";
import { dueSubject, retrySubject } from "./backoff.ts";
import { judge } from "./judge.ts";
import { letterThere, removeLetter } from "./letters.ts";
import { decodeParcel, type Parcel } from "./parcel.ts";
import { readStanding } from "./standing.ts";
import { dropAside, wholeParcel } from "./store.ts";

export interface DueReader {
  /** Reads no more; what is in flight may still be concluded. */
  stop(): void;
  /** Gives back to the server what was not concluded. */
  end(): void;
}

export interface DueParts {
  readonly scope: Scope;
  readonly session: Pick<Session, "takeAgain">;
  /** What has to be over before anything comes back: suspects of a crash. */
  readonly after: Promise<void>;
}

const ackWaitMs = 20_000; // who was frozen and wakes up takes some with it: the successor has them after this
const laterMs = 1_000;
const againMs = 500;

/** Starts to read, and keeps at it until it is stopped. */
export function startDue({ scope, session, after }: DueParts): DueReader {
  const { broker } = scope;
  const { name } = scope.handler();
  const durableName = consumerName(broker.app, name);
  const inFlight = new Map<string, Delivery>(); // by the origin's position
  let read: DurableRead | undefined;
  let stopped = false;
  const keepAlive = setInterval(() => {
    for (const message of inFlight.values()) message.working();
  }, ackWaitMs / 3);
  const again = createAgain(scope);
  void after.then(run);

  async function run(): Promise<void> {
    for (let said = false; !stopped; ) {
      try {
        read = await open();
        if (stopped) return read.stop();
        if (said) say("mended", "they are read again");
        said = false;
        await read.broken;
        read.stop();
      } catch (error) {
        if (stopped) return;
        if (!said) say("trouble", `${describeThrown(error).message}; it is tried again`);
        said = true;
        await scope.ensureStreams().catch(() => {}); // it may be gone; the next try says what else it is
        await new Promise((resolve) => setTimeout(resolve, againMs));
      }
    }
  }

  function say(kind: "trouble" | "mended", text: string, code = "EDDY_DUE_BROKEN"): void {
    const about = `retries of ${name}`;
    scope.around.report({ kind, code, about, message: `${about}: ${text}` });
  }

  async function open(): Promise<DurableRead> {
    const { num_ack_pending: left } = await ensureConsumer(broker.jsm, retryStream, {
      ...durable,
      durable_name: durableName,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(ackWaitMs),
      max_ack_pending: 1_000,
      filter_subject: dueSubject(broker.app, name),
    });
    // What an earlier life had and did not finish comes at once, and not after its ack wait.
    if (left > 0 && read === undefined) {
      await windConsumer(broker.jsm, retryStream, durableName, 1);
    }
    return readDurable(broker, retryStream, durableName, (message) => {
      receive(message).catch(() => later(message)); // the server did not answer: ask again
    });
  }

  function later(message: Delivery): void {
    if (!broker.nc.isClosed()) message.nak(laterMs);
  }

  async function receive(message: Delivery): Promise<void> {
    const parcel = decodeParcel(message.data);
    if (parcel === undefined) {
      const release = decodeRelease(message.data);
      if (release !== undefined) return await letGo(message, release);
      const text = `${message.natsSubject} (${retryStream} ${message.seq}) holds no event of ours; it is dropped`;
      say("trouble", text, "EDDY_DUE_UNREADABLE");
      return message.ack();
    }
    const origin = positionText(parcel.original.position);
    if (stopped || inFlight.has(origin)) return later(message);
    inFlight.set(origin, message);
    try {
      await handOn(message, parcel);
    } catch (error) {
      inFlight.delete(origin);
      throw error;
    }
  }

  // An operator lets a key go. Where the event that is named does not hold it any more, nothing changes.
  async function letGo(message: Delivery, { lane, by }: Release): Promise<void> {
    if (stopped) return later(message);
    await scope.held?.release(lane, by);
    if (!scope.alive()) return;
    await removeMessage(broker.nc, retryStream, message.seq);
    message.ack();
  }

  async function handOn(message: Delivery, parcel: Parcel): Promise<void> {
    const { position } = parcel.original;
    const { judgement, standing } = await judged(parcel);
    switch (judgement) {
      case "later":
        inFlight.delete(positionText(position));
        return later(message);
      case "stale":
        await remove(message, parcel);
        return;
      case "uncertain":
        return await concludeDead(scope, jobOf(message, parcel), "uncertain", uncertain(parcel));
      case "run": {
        const whole = await wholeParcel(broker, retryStream, parcel, asideOf(parcel));
        if (whole !== undefined) {
          return await again.run(jobOf(message, parcel, whole), standing, session.takeAgain);
        }
        return await concludeDead(scope, jobOf(message, parcel), "undecodable", gone(parcel));
      }
    }
  }

  async function judged(parcel: Parcel) {
    const { letter, original } = parcel;
    const passed = scope.ledger.isPassed(original.position); // before the standing is read
    const standing = await readStanding(broker.nc, scope.ledger.place, original.position);
    const isLetter = letter !== undefined;
    const judgement = judge({
      parcel,
      standing,
      passed,
      letterThere: isLetter && (await letterThere(broker, parcel, letter)),
      originThere: isLetter && standing === undefined && (await originThere(parcel)),
      nowMs: Date.now(),
      retentionMs: scope.defaults.retentionMs,
    });
    return { judgement, standing };
  }

  async function originThere({ original: { position, natsSubject } }: Parcel): Promise<boolean> {
    const found = await readMessage(broker.nc, position.stream, { seq: position.seq });
    return found?.natsSubject === natsSubject;
  }

  const asideOf = (parcel: Parcel) => retrySubject(broker.app, parcel);

  // The message goes last: whatever is missed before is done when it comes again.
  async function remove(message: Delivery, parcel: Parcel): Promise<void> {
    const { letter } = parcel;
    if (letter !== undefined && (await letterThere(broker, parcel, letter))) {
      await removeLetter(broker, parcel, letter);
    }
    await dropAside(broker, retryStream, parcel, asideOf(parcel));
    await removeMessage(broker.nc, retryStream, message.seq);
    message.ack();
    inFlight.delete(positionText(parcel.original.position));
  }

  function jobOf(message: Delivery, parcel: Parcel, whole = parcel): Job {
    return makeJob(whole, scope, () => {
      remove(message, parcel).catch(() => {
        inFlight.delete(positionText(parcel.original.position));
        later(message);
      });
    });
  }

  return {
    stop() {
      stopped = true;
      read?.stop();
    },
    end() {
      clearInterval(keepAlive);
      again.end();
      if (!broker.nc.isClosed()) for (const message of inFlight.values()) message.nak();
      inFlight.clear();
    },
  };
}

/** A stored event as a job that comes back. */
export function makeJob(parcel: Parcel, scope: Scope, onStored: () => void): Job {
  const { original } = parcel;
  const fields = original.headers === undefined ? undefined : parseHeaderBlock(original.headers);
  const decoded = decodeMessage(fields, original.data);
  return {
    handler: scope.handler(),
    position: original.position,
    original,
    event: decoded.ok ? Object.freeze(decoded.event) : undefined,
    key: "",
    slot: undefined,
    attempt: parcel.next - (parcel.postponed ?? 0),
    attempts: parcel.attempts,
    from: parcel.letter === undefined ? "retrying" : parcel.expired ? "expired" : "dead",
    ...(parcel.anyAge ? { anyAge: true as const } : {}),
    ...(parcel.postponed === undefined ? {} : { postponed: parcel.postponed }),
    beganMs: performance.now(),
    onStored,
  };
}

export function uncertain(parcel: Parcel): EddyError {
  return new EddyError(
    "EDDY_RETRY_UNCERTAIN",
    `the event waited for attempt ${parcel.next} for longer than home.retention, so the record that tells whether it ` +
      "was done meanwhile is gone. Look whether its effect is there; then give it back or discard it",
  );
}

export function gone({ original: { position } }: Parcel): EddyError {
  return new EddyError(
    "EDDY_PARCEL_INCOMPLETE",
    `the data that was stored beside the waiting event is gone from ${retryStream}. ` +
      `The original is ${position.stream} ${position.seq}, where the log still has it`,
  );
}
