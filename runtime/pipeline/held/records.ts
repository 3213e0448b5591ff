// The record of a held key, beside the ledger and in the same batches: what holds it, so that it survives everything.
// One subject a key; the last record counts. Not in the ledger record itself: when a source is down thousands are held.
import { Packr, Unpackr } from "msgpackr";
import {
  type BatchMessage,
  type Broker,
  readLastOfEach,
  readMessage,
  streamInfo,
} from "../../broker/index.ts";
import { EddyError, type Token } from "../../events/index.ts";
import type { Place } from "../ledger/place.ts";
import type { Held } from "./states.ts";

export interface HeldRecord {
  readonly key: string;
  readonly held: Held | { readonly kind: "free" };
  /** Since when the key has been held without a break. */
  readonly sinceMs: number;
  /** No record that the key needs stands below this sequence of the home stream. */
  readonly fromSeq: number;
}

const format = 1;
const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false });

// Two tokens more than a standing has: the filters for those do not match.
function heldSubject(place: Place, lane: Token | "*"): string {
  return `${place.ledger}.lanes.held.${lane}`;
}

export function heldMessage(place: Place, lane: Token, record: HeldRecord): BatchMessage {
  return { natsSubject: heldSubject(place, lane), headerLines: "", data: encodeHeld(record) };
}

export function encodeHeld({ key, held, sinceMs, fromSeq }: HeldRecord): Uint8Array {
  const by = "by" in held ? held.by : undefined;
  return packr.pack([
    format,
    held.kind,
    key,
    sinceMs,
    fromSeq,
    by === undefined ? null : [by.position.stream, by.position.seq, by.source, by.id],
    held.kind === "waiting" ? [held.attempt, held.dueMs] : null,
  ]);
}

type Wire = [
  version: unknown,
  kind: HeldRecord["held"]["kind"],
  key: string,
  sinceMs: number,
  fromSeq: number,
  by: [stream: string, seq: number, source: string, id: string] | null,
  next: [attempt: number, dueMs: number] | null,
];

/** Throws `EDDY_LEDGER_UNREADABLE` for bytes that no version of this runtime wrote. */
export function decodeHeld(bytes: Uint8Array): HeldRecord {
  try {
    const [version, kind, key, sinceMs, fromSeq, by, next] = unpackr.unpack(bytes) as Wire;
    if (version !== format) throw new RangeError(`format ${String(version)}`);
    const common = { key, sinceMs, fromSeq };
    if (kind === "free" || kind === "draining") return { ...common, held: { kind } };
    if (by === null) throw new RangeError("nothing holds the key");
    const [stream, seq, source, id] = by;
    const holder = { position: { stream, seq }, source, id };
    if (kind === "dead") return { ...common, held: { kind, by: holder } };
    if (kind !== "waiting" || next === null) throw new RangeError(`state ${String(kind)}`);
    const [attempt, dueMs] = next;
    return { ...common, held: { kind, by: holder, attempt, dueMs } };
  } catch (cause) {
    const text =
      "the record of a held key cannot be read: it was written by a newer runtime, or not by one. " +
      "Start the runtime that wrote it, or remove the record to let the key go";
    throw new EddyError("EDDY_LEDGER_UNREADABLE", text, {}, { cause });
  }
}

/** The record of one key; undefined where there never was one. */
export async function readHeld(
  broker: Broker,
  place: Place,
  lane: Token,
): Promise<HeldRecord | undefined> {
  const found = await readMessage(broker.nc, place.stream, {
    last_by_subj: heldSubject(place, lane),
  });
  return found === undefined ? undefined : decodeHeld(found.data);
}

/** All keys of a handler that are held, by lane, as of the ledger's record at `ledgerSeq`. */
export async function readAllHeld(
  broker: Broker,
  place: Place,
  ledgerSeq: number,
): Promise<Map<Token, HeldRecord>> {
  const found = new Map<Token, HeldRecord>();
  const filter = heldSubject(place, "*");
  const info = await streamInfo(broker.jsm, place.stream, { subjects_filter: filter });
  if (Object.keys(info?.state.subjects ?? {}).length === 0) return found;
  // A replica that lags could miss records; once it has given the ledger's it has given all before.
  const filters = [place.ledger, filter];
  await readLastOfEach(broker, place.stream, filters, ({ subject, seq, data }) => {
    if (subject === place.ledger) return seq >= ledgerSeq;
    const lane = subject.slice(subject.lastIndexOf(".") + 1) as Token;
    const record = decodeHeld(data);
    if (record.held.kind === "free") found.delete(lane);
    else found.set(lane, record);
    return false;
  });
  return found;
}
