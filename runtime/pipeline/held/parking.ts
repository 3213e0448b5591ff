// Parked events: those that came while their key was held, as plain messages in the RETRY stream. In memory there are
// none of them, however many there are.
// P1 A copy is stored before the ledger says so, on a subject of its event's own; whether it counts is judged by the
// event's standing, so a copy that a crash or a zombie left changes nothing. P2 A copy goes after what it led to is
// stored. P3 Their order is that of the origin, not that in which copies were stored.
import {
  type Broker,
  readMessage,
  removeMessage,
  retryStream,
  streamInfo,
} from "../../broker/index.ts";
import { natsSubject, type Position, type Token, token, untoken } from "../../events/index.ts";
import { decodeParcel, type Original, type Parcel } from "../retry/parcel.ts";
import { dropAside, storeParcel, wholeParcel } from "../retry/store.ts";

/** Where a copy stands. A root of its own: a schedule's subject could be mistaken for nothing else. */
function parkedSubject(app: string, handler: string, lane: Token, { stream, seq }: Position) {
  return `${natsSubject("parked", token(app), token(handler), lane, token(stream))}.${seq}`;
}

/** Stores the copy; resolves once it is stored. */
export async function storeParked(
  broker: Broker,
  handler: string,
  lane: Token,
  original: Original,
): Promise<void> {
  const subject = parkedSubject(broker.app, handler, lane, original.position);
  const parcel: Parcel = { handler, original, attempts: [], next: 1, packedMs: Date.now() };
  await storeParcel(broker, retryStream, subject, parcel, "");
}

/** What is parked of a handler, or of one of its keys: positions in stream order, by lane. */
export async function listParked(
  broker: Broker,
  handler: string,
  lane: Token | "*" = "*",
): Promise<Map<Token, Position[]>> {
  const root = `${natsSubject("parked", token(broker.app), token(handler))}.`;
  const filter = `${root}${lane}.*.*`;
  const info = await streamInfo(broker.jsm, retryStream, { subjects_filter: filter });
  const found = new Map<Token, Position[]>();
  for (const subject of Object.keys(info?.state.subjects ?? {})) {
    const [at = "", stream = "", seq = ""] = subject.slice(root.length).split(".");
    const positions = found.get(at as Token) ?? [];
    positions.push({ stream: untoken(stream) ?? stream, seq: Number(seq) });
    found.set(at as Token, positions);
  }
  for (const positions of found.values()) positions.sort((a, b) => a.seq - b.seq);
  return found;
}

export interface Copy {
  /** Undefined where a piece of it is gone. */
  readonly whole: Parcel | undefined;
  readonly parcel: Parcel;
  /** Its sequence in the RETRY stream. */
  readonly seq: number;
}

/** The copy at a position; undefined where there is none any more. */
export async function readParked(
  broker: Broker,
  handler: string,
  lane: Token,
  position: Position,
): Promise<Copy | undefined> {
  const subject = parkedSubject(broker.app, handler, lane, position);
  const found = await readMessage(broker.nc, retryStream, { last_by_subj: subject });
  if (found === undefined) return undefined;
  const parcel = decodeParcel(found.data);
  if (parcel === undefined)
    return { whole: undefined, parcel: unreadable(handler, position), seq: found.seq };
  return { whole: await wholeParcel(broker, retryStream, parcel, subject), parcel, seq: found.seq };
}

/** Removes a copy: that one, not a newer one on its subject. */
export async function dropParked(
  broker: Broker,
  handler: string,
  lane: Token,
  { parcel, seq }: Copy,
): Promise<void> {
  const subject = parkedSubject(broker.app, handler, lane, parcel.original.position);
  await removeMessage(broker.nc, retryStream, seq);
  if (parcel.apart === undefined) return;
  const newer = await readMessage(broker.nc, retryStream, { last_by_subj: subject });
  if (newer === undefined) await dropAside(broker, retryStream, parcel, subject);
}

// Somebody wrote over it. What stands at its origin is known all the same.
function unreadable(handler: string, position: Position): Parcel {
  const original = { position, natsSubject: "", timeMs: 0, data: new Uint8Array(0) };
  return { handler, original, attempts: [], next: 1, packedMs: 0 };
}
