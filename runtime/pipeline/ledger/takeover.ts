// Taking a ledger over: fence, read, and know where to go on. No waiting for anybody's ack wait.
// T1 After the epoch record is stored, no earlier holder can append (its expectation is stale).
import type { Start } from "../../authoring/index.ts";
import {
  type Broker,
  firstSeqSince,
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
  /** Positions that it had not seen and that are gone from a stream's head. */
  readonly missed: readonly Missed[];
}

export interface Missed {
  readonly stream: string;
  readonly from: number;
  readonly to: number;
}

export interface Taking {
  readonly place: Place;
  /** The streams that the handler reads, the home stream first. */
  readonly streams: readonly string[];
  readonly instance: string;
  /** Where a handler begins that has never run. */
  readonly start: Start;
  /** What is known of one whose ledger is gone: by this process, or from the durable that it left on the home stream. */
  earlier(createdMs: number): Promise<InputRecord | undefined>;
  /** What the server has delivered of a stream and not seen acked, before anything changes that. */
  delivered(stream: string): Promise<Delivered | undefined>;
}

/** A stream that is read, as the server has it. */
interface Source {
  readonly info: StreamInfo;
  readonly delivered: Delivered | undefined;
}

interface LastRecord extends LedgerRecord {
  readonly seq: number;
}

const answerMs = 5_000;

/** Appends an epoch record with the fence and gives back what it holds. */
export async function takeOver(broker: Broker, taking: Taking): Promise<Taken> {
  const { place } = taking;
  for (let tries = 0; tries < 20; tries++) {
    const [last, ...sources] = await Promise.all([
      readMessage(broker.nc, place.stream, { last_by_subj: place.ledger }),
      ...taking.streams.map((stream) => sourceOf(broker, stream, taking)),
    ]);
    const before = last && { ...decodeRecord(last.data), seq: last.seq };
    const { record, missed } = await nextEpoch(broker, sources, before, taking);
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
      const all = sources.map(({ delivered }) => delivered);
      const earlier =
        before === undefined ? {} : { before: predecessorOf(before, taking.instance, all) };
      return { record, seq: result.lastSeq, fresh: before === undefined, ...earlier, missed };
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

async function sourceOf(
  broker: Broker,
  stream: string,
  { streams, delivered }: Taking,
): Promise<Source> {
  const [info, before] = await Promise.all([streamInfo(broker.jsm, stream), delivered(stream)]);
  if (info !== undefined) return { info, delivered: before };
  const text =
    stream === streams[0]
      ? `stream ${stream} is not there`
      : `stream ${stream}, which it names in streams, is not there: create it, or take it out of streams`;
  throw new EddyError("EDDY_STREAM_MISSING", text);
}

async function nextEpoch(
  broker: Broker,
  sources: readonly Source[],
  before: LastRecord | undefined,
  taking: Taking,
): Promise<{ record: LedgerRecord; missed: readonly Missed[] }> {
  const { instance, streams } = taking;
  const known = before?.inputs ?? [];
  const all = sources.map(({ delivered }) => delivered);
  const died = before !== undefined && predecessorOf(before, instance, all).died;
  const inputs: InputRecord[] = [];
  const missed: Missed[] = [];
  let joining: number | undefined;
  for (const [at, source] of sources.entries()) {
    const next = await nextInput(broker, source, at === 0, { taking, before, died });
    joining ??= next.joining;
    inputs.push(next.input);
    if (next.missed !== undefined) missed.push(next.missed);
  }
  const left = known.filter(({ stream }) => !streams.includes(stream));
  const record: LedgerRecord = {
    epoch: (before?.epoch ?? 0) + 1,
    instance,
    commit: 0,
    counts: before?.counts ?? noCounts(),
    inputs: [...inputs, ...left.map(({ trial: _, ...input }) => input)],
    ...(before?.shape === undefined ? {} : { shape: before.shape }),
    ...(joining === undefined ? {} : { joining }),
    ...aheadAfter(before),
  };
  return { record, missed };
}

interface Epoch {
  readonly taking: Taking;
  readonly before: LastRecord | undefined;
  /** Whoever had it before ended without a word. */
  readonly died: boolean;
}

async function nextInput(
  broker: Broker,
  { info, delivered }: Source,
  isHome: boolean,
  { taking: { start, instance, earlier }, before, died }: Epoch,
) {
  const createdMs = Date.parse(info.created);
  const stream = info.config.name;
  const last = before === undefined && isHome ? await earlier(createdMs) : undefined;
  const all = before?.inputs ?? (last === undefined ? [] : [last]);
  const inputs = isHome ? all : all.filter((input) => input.stream === stream);
  const known = inputs.find((i) => i.stream === stream && i.createdMs === createdMs);
  // A stream that was made anew is read from its first event by whoever read the old one.
  const anew = inputs.length > 0 ? "first" : start;
  const floor = known?.floor ?? (await firstFloor(broker, info, anew));
  const gone = info.state.first_seq - 1;
  const isBehind = inputs.length === 0 || (known !== undefined && gone > known.floor);
  const joining = isHome ? joiningAfter(before, { start, isBehind, instance }) : undefined;
  const read = { stream, createdMs, floor: Math.max(floor, gone), above: known?.above ?? [] };
  const kept = { ...read, above: aboveOnly(read) };
  const tried = joining === undefined ? known : undefined; // what it reads again is in the compacted home
  const trial = tried && trialAfter(tried.trial, died, kept, delivered);
  const isMissed = known !== undefined && gone > floor && joining === undefined;
  return {
    input: trial === undefined ? kept : { ...kept, trial },
    joining,
    missed: isMissed ? { stream, from: floor + 1, to: gone } : undefined,
  };
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
