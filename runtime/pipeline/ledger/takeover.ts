// Taking a ledger over: fence, read, and know where to go on. No waiting for anybody's ack wait.
// T1 After the epoch record is stored, no earlier holder can append (its expectation is stale).
import type { Start } from "../../authoring/index.ts";
import {
  type Broker,
  readMessage,
  type StreamInfo,
  storeBatch,
  streamInfo,
} from "../../broker/index.ts";
import { EddyError } from "../../events/index.ts";
import { noCounts } from "./counts.ts";
import type { Place } from "./place.ts";
import { decodeRecord, encodeRecord, type InputRecord, type LedgerRecord } from "./record.ts";

export interface Taken {
  readonly record: LedgerRecord;
  readonly seq: number;
  /** True where the handler has no ledger yet. */
  readonly fresh: boolean;
  /** Set where positions that it had not seen are gone from the stream's head. */
  readonly missed?: { readonly from: number; readonly to: number };
}

/** Appends an epoch record with the fence and gives back what it holds. */
export async function takeOver(
  broker: Broker,
  place: Place,
  input: string,
  start: Start,
  instance: string,
): Promise<Taken> {
  for (let tries = 0; tries < 20; tries++) {
    const info = await streamInfo(broker.jsm, input);
    if (info === undefined)
      throw new EddyError("EDDY_STREAM_MISSING", `stream ${input} is not there`);
    const last = await readMessage(broker.nc, place.stream, { last_by_subj: place.ledger });
    const before = last === undefined ? undefined : decodeRecord(last.data);
    const { record, missed } = await nextEpoch(broker, info, before, start, instance);
    const result = await storeBatch(
      broker.nc,
      [
        {
          natsSubject: place.ledger,
          headerLines: "",
          data: encodeRecord(record),
          expectedSeq: last?.seq ?? 0,
        },
      ],
      5_000,
    );
    if (result.kind === "stored") {
      const found = missed === undefined ? {} : { missed };
      return { record, seq: result.lastSeq, fresh: before === undefined, ...found };
    }
    if (result.kind !== "stale" && result.kind !== "unanswered") {
      throw new EddyError(
        result.kind === "full" ? "EDDY_HOME_FULL" : "EDDY_LEDGER_REFUSED",
        `the ledger ${place.ledger} in ${place.stream} was not stored: ${result.description}`,
      );
    }
  }
  throw new EddyError(
    "EDDY_LEDGER_CONTESTED",
    `the ledger ${place.ledger} could not be taken over: another instance keeps writing to it`,
  );
}

async function nextEpoch(
  broker: Broker,
  info: StreamInfo,
  before: LedgerRecord | undefined,
  start: Start,
  instance: string,
): Promise<{ record: LedgerRecord; missed?: { from: number; to: number } }> {
  const createdMs = Date.parse(info.created);
  const stream = info.config.name;
  const known = before?.inputs.find((i) => i.stream === stream && i.createdMs === createdMs);
  const floor = known?.floor ?? (before === undefined ? await firstFloor(broker, info, start) : 0);
  const gone = info.state.first_seq - 1;
  const input: InputRecord = {
    stream,
    createdMs,
    floor: Math.max(floor, gone),
    above: known?.above ?? [],
  };
  const record: LedgerRecord = {
    epoch: (before?.epoch ?? 0) + 1,
    instance,
    commit: 0,
    counts: before?.counts ?? noCounts(),
    inputs: [{ ...input, above: aboveOnly(input) }],
  };
  const missed =
    known !== undefined && gone > floor ? { missed: { from: floor + 1, to: gone } } : {};
  return { record, ...missed };
}

function aboveOnly({ floor, above }: InputRecord): number[] {
  const kept: number[] = [];
  for (let at = 0; at < above.length; at += 2) {
    const to = above[at + 1] as number;
    if (to > floor) kept.push(Math.max(above[at] as number, floor + 1), to);
  }
  return kept;
}

async function firstFloor(broker: Broker, info: StreamInfo, start: Start): Promise<number> {
  if (start === "first") return 0;
  if (start === "now") return info.state.last_seq;
  return (await firstSeqSince(broker, info.config.name, start)) - 1;
}

/** The first sequence stored at or after a time; one above the last where there is none yet. */
export async function firstSeqSince(broker: Broker, stream: string, time: Date): Promise<number> {
  const message = await broker.jsm.direct.getMessage(stream, { start_time: time });
  if (message !== null) return message.seq;
  const info = await streamInfo(broker.jsm, stream);
  return (info?.state.last_seq ?? 0) + 1;
}
