// A handler's ledger while one instance holds it. Owns the chain of records: each is fenced by the one before.
// L1 Only one holder can append: the server refuses a record whose predecessor is not the last one.
// L2 A lost ledger never appends again; whoever holds it says so through `lost`.
import type { BatchMessage } from "../../broker/index.ts";
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
  /** Floor and completed positions as they are stored: what is only in memory counts for nobody else. */
  readonly input: InputRecord;
  /** Sequence of the last record known. */
  readonly lastSeq: number;
  /** What the records from now on say of the suspects of a crash. */
  noteTrial(trial: Trial | undefined): void;
  /** The next record is the first one that reads the log: these are the positions that count as completed. */
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

export function holdLedger<Item>(start: LedgerStart, floor: Floor<Item>): Ledger {
  let { record } = start;
  const [input] = record.inputs;
  if (input === undefined) throw new RangeError("a ledger has at least one input");
  const counts: Counts = { ...record.counts };
  let commit = record.commit + 1;
  let lastSeq = start.seq;
  let stored = input;
  let next = input;
  let held = true;
  let joined: Pick<InputRecord, "floor" | "above"> | undefined;
  return {
    place: start.place,
    counts,
    include({ slot, move }) {
      if (slot !== undefined) floor.include(slot);
      if (move !== undefined) count(counts, move, 1);
    },
    exclude({ slot, move }) {
      if (slot !== undefined) floor.exclude(slot);
      if (move !== undefined) count(counts, move, -1);
    },
    nextRecord(ahead) {
      next = { ...input, ...(joined ?? floor.read()) };
      const { ahead: _, ...lasting } = record;
      const carried = ahead === undefined ? lasting : { ...lasting, ahead };
      return {
        natsSubject: start.place.ledger,
        headerLines: "",
        data: encodeRecord({ ...carried, commit, counts, inputs: [next] }),
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
    get input() {
      return stored;
    },
    noteTrial(trial) {
      const { trial: _, ...rest } = record;
      record = trial === undefined ? rest : { ...rest, trial };
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
