// A handler's ledger while one instance holds it. Owns the chain of records: each is fenced by the one before.
// L1 Only one holder can append: the server refuses a record whose predecessor is not the last one.
// L2 A lost ledger never appends again; whoever holds it says so through `lost`.
// L3 One record says how far it has come in each of its inputs: they are taken over, stored and lost together. Inputs that
// it does not read any more stay in it, so that none is ever read twice.
import type { BatchMessage } from "../../broker/index.ts";
import type { Position } from "../../events/index.ts";
import type { Ahead } from "../ahead.ts";
import { type Counts, count, type Move } from "./counts.ts";
import type { Floor } from "./floor.ts";
import type { Place } from "./place.ts";
import {
  decodeRecord,
  encodeRecord,
  type InputRecord,
  type LedgerRecord,
  type Trial,
} from "./record.ts";

/** What one finished event changes in its ledger. */
export interface Settlement {
  /** The floor's slot, where the event came from the stream (a retry's position is long completed). */
  readonly slot: number | undefined;
  /** Whose floor that is. */
  readonly stream: string | undefined;
  /** Absent where the position held no event of the handler. */
  readonly move: Move | undefined;
}

export interface Ledger {
  readonly place: Place;
  readonly counts: Readonly<Counts>;
  /** Takes a settlement into the next record. */
  include(settlement: Settlement): void;
  /** Takes it back: the group was refused. */
  exclude(settlement: Settlement): void;
  /** The next record as a message, fenced. Called again for the same commit it gives the same identity. */
  nextRecord(ahead?: Ahead): BatchMessage;
  /** The next record was stored at this sequence. */
  stored(seq: number): void;
  /** What the record includes is stored with all its effects: the floor may move over it. */
  settled(): void;
  /** Whether a record found in the stream is the one that `nextRecord` made last. */
  isOwn(bytes: Uint8Array): boolean;
  /** Floors and completed positions as they are stored: what is only in memory counts for nobody else. The home stream first. */
  readonly inputs: readonly InputRecord[];
  /** Whether a position is completed and stored, or is in a stream that it does not know. */
  isPassed(position: Position): boolean;
  /** Sequence of the last record known. */
  readonly lastSeq: number;
  /** What the records from now on say of the suspects of a crash in one input. */
  noteTrial(stream: string, trial: Trial | undefined): void;
  /** The next record is the first one that reads the log: these are the positions of its only input that count as completed. */
  join(completed: Pick<InputRecord, "floor" | "above">): void;
  /** The next record is the last one: what runs now is over. */
  close(): void;
  /** Called by the committer: another instance has it. */
  lose(): void;
  /** False once it is lost or given up. */
  readonly held: boolean;
  giveUp(): void;
}

export interface LedgerStart {
  readonly place: Place;
  readonly record: LedgerRecord;
  /** Sequence of the epoch record that took it over. */
  readonly seq: number;
  /** The floor may move over what is included. */
  readonly onStored: () => void;
  readonly onLost: () => void;
}

/** `floors` are those of the record's first inputs, in its order: of those that are read. */
export function holdLedger<Item>(start: LedgerStart, floors: readonly Floor<Item>[]): Ledger {
  let { record } = start;
  const byStream = new Map(record.inputs.map(({ stream }, at) => [stream, floors[at]]));
  const only = floors.length === 1 ? floors[0] : undefined;
  const floorOf = (stream: string | undefined) => only ?? byStream.get(stream ?? "");
  const counts: Counts = { ...record.counts };
  let commit = record.commit + 1;
  let lastSeq = start.seq;
  let stored = record.inputs;
  let next = record.inputs;
  let held = true;
  let joined: Pick<InputRecord, "floor" | "above"> | undefined;
  return {
    place: start.place,
    counts,
    include({ slot, stream, move }) {
      if (slot !== undefined) floorOf(stream)?.include(slot);
      if (move !== undefined) count(counts, move, 1);
    },
    exclude({ slot, stream, move }) {
      if (slot !== undefined) floorOf(stream)?.exclude(slot);
      if (move !== undefined) count(counts, move, -1);
    },
    nextRecord(ahead) {
      next = record.inputs.map((input, at) => ({ ...input, ...(joined ?? floors[at]?.read()) }));
      const { ahead: _, ...lasting } = record;
      const carried = ahead === undefined ? lasting : { ...lasting, ahead };
      return {
        natsSubject: start.place.ledger,
        headerLines: "",
        data: encodeRecord({ ...carried, commit, counts, inputs: next }),
        expectedSeq: lastSeq,
      };
    },
    stored(seq) {
      lastSeq = seq;
      stored = next;
      commit++;
    },
    settled: () => start.onStored(),
    isOwn(bytes) {
      try {
        const found = decodeRecord(bytes);
        const { instance, epoch } = record;
        return found.instance === instance && found.epoch === epoch && found.commit === commit;
      } catch {
        return false; // a newer runtime wrote it: another holder
      }
    },
    get lastSeq() {
      return lastSeq;
    },
    get inputs() {
      return stored;
    },
    isPassed({ stream, seq }) {
      const input = stored.find((one) => one.stream === stream);
      return input === undefined || input.floor >= seq;
    },
    noteTrial(stream, trial) {
      const inputs = record.inputs.map((input) => {
        if (input.stream !== stream) return input;
        const { trial: _, ...rest } = input;
        return trial === undefined ? rest : { ...rest, trial };
      });
      record = { ...record, inputs };
    },
    join(completed) {
      const { joining: _, ...rest } = record;
      record = rest;
      joined = completed;
    },
    close() {
      record = { ...record, clean: true };
    },
    lose() {
      if (!held) return;
      held = false;
      start.onLost();
    },
    get held() {
      return held;
    },
    giveUp() {
      held = false;
    },
  };
}
