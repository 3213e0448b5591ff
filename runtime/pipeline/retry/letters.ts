// Dead letters: stored by the pipeline, read, given back or discarded by an operator.
// L1 A letter is stored before the ledger says that its event is dead. L2 One letter an event and handler.
// L3 A letter goes when its event has another standing: handled by a replay, waiting again, or discarded. It goes by
// its sequence: a letter that replaced it in the meantime stays.
import { type Broker, deadStream, readAll, readMessage, streamInfo } from "../../broker/index.ts";
import { natsSubject, type Position, parseHeaderBlock, token } from "../../events/index.ts";
import { releaseHeldBy } from "../held/release.ts";
import { placeNamed } from "../ledger/place.ts";
import type { LetterReason } from "../outcome.ts";
import { giveBack } from "./backoff.ts";
import { decodeParcel, type ErrorFacts, type Parcel } from "./parcel.ts";
import { markDiscarded } from "./standing.ts";
import { storeParcel, wholeParcel } from "./store.ts";

/** A dead letter as an operator sees it. */
export interface Letter {
  /** Sequence in the `DEAD` stream: what `eddy dead show` takes. */
  readonly letter: number;
  readonly handler: string;
  readonly reason: LetterReason;
  /** Absent where the message was no event. */
  readonly source?: string;
  readonly id?: string;
  readonly type?: string;
  readonly key?: string;
  readonly error: ErrorFacts;
  readonly attempts: readonly {
    readonly attempt: number;
    readonly at: string;
    readonly version: string;
    readonly error: string;
  }[];
  /** When it was tried first and last, RFC 3339. */
  readonly first: string;
  readonly last: string;
  /** Version of the handler that saw it die. */
  readonly version: string;
  readonly origin: {
    readonly stream: string;
    readonly seq: number;
    readonly subject: string;
    readonly time: string;
  };
  readonly headers: readonly (readonly [string, string])[];
  readonly data: Uint8Array;
}

function letterSubject(app: string, { handler, original }: Parcel): string {
  return subjectAt(app, handler, original.position);
}

function subjectAt(app: string, handler: string, { stream, seq }: Position): string {
  return `${natsSubject("dead", token(app), token(handler), token(stream))}.${seq}`;
}

/** The number of the letter of an event, where there is one. */
export async function letterOf(
  broker: Broker,
  handler: string,
  position: Position,
): Promise<number | undefined> {
  const subject = subjectAt(broker.app, handler, position);
  return (await readMessage(broker.nc, deadStream, { last_by_subj: subject }))?.seq;
}

/** Stores a letter, replacing an earlier one of the same event and handler. */
export async function storeLetter(broker: Broker, parcel: Parcel): Promise<void> {
  await storeParcel(broker, deadStream, letterSubject(broker.app, parcel), parcel, "");
}

/** Letters of this app, oldest first. */
export async function listLetters(
  broker: Broker,
  only: { handler?: string } = {},
): Promise<Letter[]> {
  const handler = only.handler === undefined ? "*" : token(only.handler);
  const found: Letter[] = [];
  if ((await streamInfo(broker.jsm, deadStream)) === undefined) return found;
  await readAll(
    broker,
    deadStream,
    `${natsSubject("dead", token(broker.app))}.${handler}.*.*`,
    (message) => {
      const parcel = decodeParcel(message.data);
      const letter = parcel === undefined ? undefined : asLetter(message.seq, parcel);
      if (letter !== undefined) found.push(letter);
    },
  );
  return found;
}

/** One letter with the original's whole data, or undefined where it is not there. */
export async function readLetter(broker: Broker, letter: number): Promise<Letter | undefined> {
  const parcel = await openLetter(broker, letter);
  if (parcel === undefined) return undefined;
  return asLetter(letter, (await wholeLetter(broker, parcel)) ?? parcel);
}

/** Gives a letter's event back to the handler that failed, under its own identity. */
export async function replayLetter(broker: Broker, letter: number): Promise<"given back" | "gone"> {
  const parcel = await openLetter(broker, letter);
  const whole = parcel && (await wholeLetter(broker, parcel));
  if (whole === undefined) return "gone";
  const { death, ...alive } = whole;
  const expired = death?.reason === "expired" ? { expired: true as const } : {};
  const run = { letter, ...expired, anyAge: true as const, next: 1, packedMs: Date.now() };
  await giveBack(broker, { ...alive, ...run });
  return "given back";
}

/** Removes a letter for good; its event stays counted as dead, or as expired. A key that it holds is let go, and that
 * is said first: nothing but the letter shows why a key is held. */
export async function discardLetter(broker: Broker, letter: number): Promise<"discarded" | "gone"> {
  const parcel = await openLetter(broker, letter);
  if (parcel === undefined) return "gone";
  const key = parcel.death?.event?.key;
  if (key !== undefined) await releaseHeldBy(broker, parcel.handler, key, parcel.original.position);
  await removeLetter(broker, parcel, letter);
  const { handler, original } = parcel;
  const places = (["reaction", "projection"] as const).map((kind) =>
    placeNamed(kind, handler, broker),
  );
  await markDiscarded(broker.nc, places, original.position);
  return "discarded";
}

/** Whether this letter of the parcel's event is still there. */
export async function letterThere(
  broker: Broker,
  parcel: Parcel,
  letter: number,
): Promise<boolean> {
  const found = await readMessage(broker.nc, deadStream, { seq: letter });
  return found?.natsSubject === letterSubject(broker.app, parcel);
}

/** Removes this letter of the parcel's event, where it is there. */
export async function removeLetter(broker: Broker, parcel: Parcel, letter: number): Promise<void> {
  await removeAt(broker, letterSubject(broker.app, parcel), letter);
}

/** Removes the letter of an event that is done, where there is one. */
export async function removeLetterOf(
  broker: Broker,
  handler: string,
  position: Position,
): Promise<void> {
  const letter = await letterOf(broker, handler, position);
  if (letter !== undefined)
    await removeAt(broker, subjectAt(broker.app, handler, position), letter);
}

async function removeAt(broker: Broker, subject: string, letter: number): Promise<void> {
  await broker.jsm.streams.purge(deadStream, { filter: `${subject}.>`, seq: letter });
  await broker.jsm.streams.purge(deadStream, { filter: subject, seq: letter + 1 });
}

async function openLetter(broker: Broker, letter: number): Promise<Parcel | undefined> {
  const message = await readMessage(broker.nc, deadStream, { seq: letter });
  const root = `${natsSubject("dead", token(broker.app))}.`;
  if (message === undefined || !message.natsSubject.startsWith(root)) return undefined;
  const parcel = decodeParcel(message.data);
  return parcel?.death === undefined ? undefined : parcel;
}

function wholeLetter(broker: Broker, parcel: Parcel): Promise<Parcel | undefined> {
  return wholeParcel(broker, deadStream, parcel, letterSubject(broker.app, parcel));
}

function asLetter(letter: number, parcel: Parcel): Letter | undefined {
  const { death, original, attempts, handler } = parcel;
  if (death === undefined) return undefined;
  const { event } = death;
  const times = attempts.map((a) => new Date(a.atMs).toISOString());
  const packed = new Date(parcel.packedMs).toISOString();
  return {
    letter,
    handler,
    reason: death.reason,
    ...(event ?? {}),
    error: death.error,
    attempts: attempts.map(({ attempt, version, error }, at) => ({
      attempt,
      at: times[at] ?? packed,
      version,
      error,
    })),
    first: times[0] ?? packed,
    last: times.at(-1) ?? packed,
    version: death.version,
    origin: {
      ...original.position,
      subject: original.natsSubject,
      time: new Date(original.timeMs).toISOString(),
    },
    headers: headerPairs(original.headers),
    data: original.data,
  };
}

function headerPairs(block: Uint8Array | undefined): (readonly [string, string])[] {
  if (block === undefined) return [];
  return [...parseHeaderBlock(block)].flatMap(([name, values]) =>
    values.map((value) => [name, value] as const),
  );
}
