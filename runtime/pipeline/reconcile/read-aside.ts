// What stands beside its streams for one handler: its bucket, what waits in RETRY, its letters.
import {
  type Broker,
  countMessages,
  deadStream,
  readAll,
  readMessage,
  retryStream,
  streamInfo,
} from "../../broker/index.ts";
import { natsSubject, type Position, token } from "../../events/index.ts";
import { listParked } from "../held/parking.ts";
import { decodeRecord, type LedgerRecord } from "../ledger/record.ts";
import type { LetterReason } from "../outcome.ts";
import { dueSubject } from "../retry/backoff.ts";
import { decodeParcel } from "../retry/parcel.ts";
import { decodeStanding, readStanding, type Standing } from "../retry/standing.ts";
import { stateSubjectOfType, stateTypeOf } from "../state/names.ts";
import { standingPlace } from "./read-home.ts";
import { awaited, parkedAttempt } from "./standings.ts";
import type { Subject } from "./subjects.ts";

export interface Bucket {
  readonly record: LedgerRecord | undefined;
  readonly standings: readonly { readonly position: Position; readonly standing: Standing }[];
  readonly entries: number;
}

const triesMax = 5;

/** A projection's cursor and standings as they were at one moment, or as near to it as a busy bucket lets. */
export async function readBucket(broker: Broker, subject: Subject): Promise<Bucket> {
  const { stream, ledger } = subject.place;
  for (let tries = 1; ; tries++) {
    const before = await readMessage(broker.nc, stream, { last_by_subj: ledger });
    const info = await streamInfo(broker.jsm, stream);
    if (info === undefined || before === undefined)
      return { record: undefined, standings: [], entries: 0 };
    const standings: { position: Position; standing: Standing }[] = [];
    let beside = 1; // the cursor
    await readAll(broker, stream, `${ledger}.>`, ({ subject: at, data }) => {
      beside++;
      const place = standingPlace(at);
      if (place?.ledger !== ledger) return;
      const { stream, seq } = place;
      standings.push({ position: { stream, seq }, standing: decodeStanding(data) });
    });
    const after = await readMessage(broker.nc, stream, { last_by_subj: ledger });
    if (after?.seq !== before.seq && tries < triesMax) continue;
    const type = stateTypeOf(subject.name);
    const entries =
      type === undefined
        ? info.state.messages - beside
        : await countMessages(broker, stream, `${stateSubjectOfType(type)}.*`);
    return { record: decodeRecord(before.data), standings, entries };
  }
}

/** `<seq>.<attempt>` of all of a stream that waits: on a backoff subject, due, or parked. */
export async function readRetries(
  broker: Broker,
  { name }: Subject,
  stream: string,
): Promise<Set<string>> {
  const found = new Set<string>();
  const root = natsSubject("retry", token(broker.app), token(name), token(stream));
  const info = await streamInfo(broker.jsm, retryStream, { subjects_filter: `${root}.*.*` });
  for (const subject of Object.keys(info?.state.subjects ?? {}))
    found.add(subject.slice(root.length + 1));
  if (info === undefined) return found;
  for (const positions of (await listParked(broker, name)).values()) {
    for (const position of positions)
      if (position.stream === stream) found.add(`${position.seq}.${parkedAttempt}`);
  }
  await readAll(broker, retryStream, dueSubject(broker.app, name), ({ data }) => {
    const parcel = decodeParcel(data);
    if (parcel === undefined || parcel.letter !== undefined) return;
    const { position } = parcel.original;
    if (position.stream === stream) found.add(`${position.seq}.${parcel.next}`);
  });
  return found;
}

/** Why each position of a stream has a letter. */
export async function readReasons(
  broker: Broker,
  { name }: Subject,
  stream: string,
): Promise<Map<number, LetterReason>> {
  const found = new Map<number, LetterReason>();
  if ((await streamInfo(broker.jsm, deadStream)) === undefined) return found;
  const root = natsSubject("dead", token(broker.app), token(name), token(stream));
  await readAll(broker, deadStream, `${root}.*`, ({ data }) => {
    const parcel = decodeParcel(data);
    if (parcel?.death !== undefined) found.set(parcel.original.position.seq, parcel.death.reason);
  });
  return found;
}

/** Whether something is still missing: a running runtime moves events while they are counted. */
export async function isStillMissing(
  broker: Broker,
  subject: Subject,
  what: "retry" | "letter",
  position: Position,
): Promise<boolean> {
  const { stream, seq } = position;
  const before = await readStanding(broker.nc, subject.place, position);
  if (before === undefined) return false;
  const attempt = awaited(before);
  if (what === "retry" ? attempt === undefined : before.kind !== "dead") return false;
  const present =
    attempt === undefined
      ? (await readReasons(broker, subject, stream)).has(seq)
      : (await readRetries(broker, subject, stream)).has(`${seq}.${attempt}`);
  if (present) return false;
  const after = await readStanding(broker.nc, subject.place, position);
  return JSON.stringify(after) === JSON.stringify(before);
}
