// What a replay stores: messages and the record of how far it has come, in the same batches.
// K1 Each batch is fenced by the record before it: of two replays that store for one handler, one ends. K2 A batch that is not
// answered is looked up, and sent again behind the same fence only: nothing is stored twice.
import { ulid } from "ulid";
import {
  type BatchMessage,
  type BatchResult,
  type Broker,
  batchMessagesMax,
  readMessage,
  storeBatch,
} from "../../broker/index.ts";
import { EddyError, type Position } from "../../events/index.ts";
import type { Counts } from "../ledger/counts.ts";
import type { Place } from "../ledger/place.ts";
import {
  decodeRecord,
  encodeRecord,
  type InputRecord,
  type LedgerRecord,
} from "../ledger/record.ts";

/** What follows from one event, stored together. */
export interface Unit {
  readonly position: Position;
  readonly messages: readonly BatchMessage[];
  /** With this event. */
  readonly counts: Readonly<Counts>;
}

/** Where all is stored that was to be. */
export interface Reached {
  /** Of streams that are not named nothing more. */
  readonly upTo: readonly Position[];
  readonly counts: Readonly<Counts>;
  /** The replay is over. */
  readonly clean: boolean;
}

export interface Keeper {
  /** Stores the units in order, and how far it has come with them. */
  store(units: readonly Unit[], reached: Reached): Promise<void>;
}

/** A stream, and up to where a replay has run it. */
export type InputFloor = Pick<InputRecord, "stream" | "createdMs" | "floor">;

/** A record and where it stands; sequence 0 where there is none yet. */
export interface Found {
  readonly record: LedgerRecord | undefined;
  readonly seq: number;
}

const answerMs = 10_000;
const triesMax = 5;
const batchBytesMax = 4 * 2 ** 20;

export async function readKept(broker: Broker, { stream, ledger }: Place): Promise<Found> {
  const last = await readMessage(broker.nc, stream, { last_by_subj: ledger });
  if (last === undefined) return { record: undefined, seq: 0 };
  return { record: decodeRecord(last.data), seq: last.seq };
}

/** Stores for a place whose last record was read. `mark` stays in each record; `inputs` is how far it has come before. */
export function createKeeper(
  broker: Broker,
  place: Place,
  { record: before, seq }: Found,
  mark: object,
  inputs: readonly InputFloor[],
): Keeper {
  const floors = new Map(inputs.map(({ stream, floor }) => [stream, floor]));
  const instance = markText({ ...mark, run: ulid() });
  const epoch = (before?.epoch ?? 0) + 1;
  let expectedSeq = seq;
  let commit = 0;

  async function storeOne(messages: readonly BatchMessage[], record: LedgerRecord): Promise<void> {
    const data = encodeRecord(record);
    const fenced = { natsSubject: place.ledger, headerLines: "", data, expectedSeq };
    for (let tries = 0; tries < triesMax; tries++) {
      const result = await storeBatch(broker.nc, [...messages, fenced], answerMs);
      if (result.kind === "stored") {
        expectedSeq = result.lastSeq;
        return;
      }
      if (result.kind !== "stale" && result.kind !== "unanswered") throw refused(place, result);
      const last = await readMessage(broker.nc, place.stream, { last_by_subj: place.ledger });
      if (last !== undefined && Buffer.compare(last.data, data) === 0) {
        expectedSeq = last.seq; // it was stored, and only the answer was lost
        return;
      }
      if (result.kind === "stale") throw contested(place);
    }
    throw refused(place, { kind: "unanswered", cause: undefined });
  }

  return {
    async store(units, reached) {
      const batches = inBatches(units);
      for (const [at, batch] of batches.entries()) {
        const end = at === batches.length - 1 ? undefined : batch.at(-1);
        const { upTo, counts, clean } = end === undefined ? reached : partly(batch, end);
        for (const { stream, seq } of upTo)
          floors.set(stream, Math.max(seq, floors.get(stream) ?? 0)); // a span that ends before it takes nothing back
        await storeOne(
          batch.flatMap(({ messages }) => messages),
          {
            epoch,
            instance,
            commit: commit++,
            counts,
            inputs: inputs.map(({ stream, createdMs }) => {
              return { stream, createdMs, floor: floors.get(stream) ?? 0, above: [] };
            }),
            ...(clean ? { clean } : {}),
          },
        );
      }
    },
  };
}

function partly(batch: readonly Unit[], { counts }: Unit): Reached {
  return { upTo: batch.map(({ position }) => position), counts, clean: false };
}

/** At least one, and what follows from one event is never torn apart. */
function inBatches(units: readonly Unit[]): Unit[][] {
  const batches: Unit[][] = [[]];
  let [count, bytes] = [1, 0];
  for (const unit of units) {
    const size = unit.messages.reduce(
      (sum, m) => sum + m.data.byteLength + m.headerLines.length,
      0,
    );
    if (
      count + unit.messages.length > batchMessagesMax ||
      (count > 1 && bytes + size > batchBytesMax)
    ) {
      batches.push([]);
      [count, bytes] = [1, 0];
    }
    batches.at(-1)?.push(unit);
    count += unit.messages.length;
    bytes += size;
  }
  return batches;
}

const markPrefix = "replay ";

function markText(mark: object): string {
  return markPrefix + JSON.stringify(mark);
}

/** What a replay has left in its record; undefined where no replay wrote it. */
export function markIn({ instance }: LedgerRecord): Readonly<Record<string, unknown>> | undefined {
  if (!instance.startsWith(markPrefix)) return undefined;
  try {
    return JSON.parse(instance.slice(markPrefix.length));
  } catch {
    return undefined;
  }
}

/** A replay that needs nothing of the log any more. */
export function isOverReplay(record: LedgerRecord): boolean {
  return record.clean === true && markIn(record) !== undefined;
}

function contested({ ledger }: Place): EddyError {
  const text = `another replay stores for ${ledger}: this one has stopped. What both have stored is stored once; begin it again when the other one is done`;
  return new EddyError("EDDY_REPLAY_CONTESTED", text);
}

function refused({ stream }: Place, result: Exclude<BatchResult, { kind: "stored" }>): EddyError {
  const why = "description" in result ? result.description : result.kind;
  const text = `stream ${stream} did not store what the replay gave it: ${why}. What was stored before stays and is found again: mend that, and begin the replay again`;
  return new EddyError("EDDY_REPLAY_NOT_STORED", text);
}
