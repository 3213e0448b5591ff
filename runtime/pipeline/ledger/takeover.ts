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
import { type Ahead, finishAhead } from "../ahead.ts";
import {
  type Delivered,
  type Predecessor,
  predecessorOf,
  trialAfter,
} from "../crashes/suspects.ts";
import { noCounts } from "./counts.ts";
import type { Place } from "./place.ts";
import { decodeRecord, encodeRecord, type InputRecord, type LedgerRecord } from "./record.ts";

export interface Taken {
  readonly record: LedgerRecord;
  readonly seq: number;
  /** True where the handler has no ledger yet. */
  readonly fresh: boolean;
  /** Who had it before. */
  readonly before?: Predecessor;
  /** Set where positions that it had not seen are gone from the stream's head. */
  readonly missed?: { readonly from: number; readonly to: number };
}

export interface Taking {
  readonly place: Place;
  /** The stream that the handler reads. */
  readonly input: string;
  readonly instance: string;
  /** Where a handler begins that has never run. */
  readonly start: Start;
  /** What is known of one whose ledger is gone: by this process, or from the durable that it left. */
  earlier(createdMs: number): Promise<InputRecord | undefined>;
  /** What the server has delivered and not seen acked, before anything changes that. */
  delivered(): Promise<Delivered | undefined>;
}

interface LastRecord extends LedgerRecord {
  readonly seq: number;
}

const answerMs = 5_000;

/** Appends an epoch record with the fence and gives back what it holds. */
export async function takeOver(broker: Broker, taking: Taking): Promise<Taken> {
  const { place, input } = taking;
  for (let tries = 0; tries < 20; tries++) {
    const [info, last, delivered] = await Promise.all([
      streamInfo(broker.jsm, input),
      readMessage(broker.nc, place.stream, { last_by_subj: place.ledger }),
      taking.delivered(),
    ]);
    if (info === undefined)
      throw new EddyError("EDDY_STREAM_MISSING", `stream ${input} is not there`);
    const before = last && { ...decodeRecord(last.data), seq: last.seq };
    const { record, missed } = await nextEpoch(broker, info, before, taking, delivered);
    const result = await storeBatch(
      broker.nc,
      [
        {
          natsSubject: place.ledger,
          headerLines: "",
          data: encodeRecord(record),
          expectedSeq: before?.seq ?? 0,
        },
      ],
      answerMs,
    );
    if (result.kind === "stored") {
      if (record.ahead !== undefined) {
        await finishAhead(broker, place, record.ahead, result.lastSeq, answerMs);
      }
      const found = missed === undefined ? {} : { missed };
      const earlier =
        before === undefined ? {} : { before: predecessorOf(before, taking.instance, delivered) };
      return { record, seq: result.lastSeq, fresh: before === undefined, ...earlier, ...found };
    }
    if ("description" in result) {
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
  before: LastRecord | undefined,
  { start, instance, earlier }: Taking,
  delivered: Delivered | undefined,
): Promise<{ record: LedgerRecord; missed?: { from: number; to: number } }> {
  const createdMs = Date.parse(info.created);
  const stream = info.config.name;
  const last = before === undefined ? await earlier(createdMs) : undefined;
  const inputs = before?.inputs ?? (last === undefined ? [] : [last]);
  const known = inputs.find((i) => i.stream === stream && i.createdMs === createdMs);
  // A stream that was made anew is read from its first event by whoever read the old one.
  const anew = inputs.length > 0 ? "first" : start;
  const floor = known?.floor ?? (await firstFloor(broker, info, anew));
  const gone = info.state.first_seq - 1;
  const joining = joiningAfter(before, {
    start,
    isBehind: inputs.length === 0 || (known !== undefined && gone > known.floor),
    instance,
  });
  const input: InputRecord = {
    stream,
    createdMs,
    floor: Math.max(floor, gone),
    above: known?.above ?? [],
  };
  const kept = { ...input, above: aboveOnly(input) };
  const tried = joining === undefined ? before : undefined; // what it reads again is in the compacted home
  const trial = tried && known && trialAfter(tried, instance, kept, delivered);
  const record: LedgerRecord = {
    epoch: (before?.epoch ?? 0) + 1,
    instance,
    commit: 0,
    counts: before?.counts ?? noCounts(),
    inputs: [kept],
    ...(trial === undefined ? {} : { trial }),
    ...(before?.shape === undefined ? {} : { shape: before.shape }),
    ...(joining === undefined ? {} : { joining }),
    ...aheadAfter(before),
  };
  const missed =
    known !== undefined && gone > floor && joining === undefined
      ? { missed: { from: floor + 1, to: gone } }
      : {};
  return { record, ...missed };
}

const joiningMax = 5; // processes that died of it: then the log, where what ends a process is found and becomes a letter

/** Whether a projection begins with the compacted home: it has never run, did not come to its end there, or what it has
 * not read yet was cut from the log. */
function joiningAfter(
  before: LastRecord | undefined,
  { start, isBehind, instance }: { start: Start; isBehind: boolean; instance: string },
): number | undefined {
  if (start !== "state") return undefined;
  if (before?.joining === undefined) return isBehind ? 1 : undefined;
  const died = before.instance !== instance && before.clean === undefined;
  const next = before.joining + (died ? 1 : 0);
  return next > joiningMax ? undefined : next;
}

/** What the last record carried, to be finished by whoever takes over. */
function aheadAfter(before: LastRecord | undefined): { ahead?: Ahead } {
  if (before?.ahead === undefined) return {};
  const { since, messages } = before.ahead;
  return { ahead: { since: since === 0 ? before.seq : since, messages } };
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
  if (start === "first" || start === "state") return 0;
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
