// Work on a projection's entries between two sessions of its handler: the ledger is held, and nothing runs.
// T1 What an earlier switch has left is brought to its end before anything is read. T2 Work that failed leaves the
// ledger to a new take-over: what became of its last batch is not known.
import type { Handler } from "../../authoring/index.ts";
import type { Broker } from "../../broker/index.ts";
import type { Entries } from "../entries.ts";
import type { Place } from "../ledger/place.ts";
import type { LedgerRecord } from "../ledger/record.ts";
import { forgetSoon } from "./announce.ts";
import type { Fenced } from "./fenced.ts";
import { shapeOf } from "./shape.ts";
import { finishSwitch } from "./switch.ts";

/** A ledger that was just taken over, with how far it has come. */
export interface Took {
  readonly record: LedgerRecord;
  readonly seq: number;
}

/** Gives back the ledger as the work has left it. */
export type Work = (fenced: Fenced) => Promise<Fenced>;

/** Work that a take-over brings with it, where nobody has asked for other work. */
export type AtStart = (
  handler: Handler,
  place: Place,
  shape: string | undefined,
) => Work | undefined;

export interface Turns {
  /** Asks for a turn. Rejects with what the work fails with, or where nothing runs here. */
  ask(work: Work, onDone: () => void): Promise<void>;
  /** What a take-over is followed by; undefined where the ledger has to be taken over again. */
  take(took: Took, entries: Entries | undefined, handler: Handler): Promise<Took | undefined>;
  /** No turn will come. */
  refuse(why: Error): void;
  /** The shape that the entries were folded by, where a session has read it. */
  readonly shape: string | undefined;
}

interface Asked {
  readonly work: Work;
  onDone(): void;
  resolve(): void;
  reject(why: unknown): void;
}

export function createTurns(broker: Broker, place: Place, atStart: AtStart): Turns {
  let asked: Asked | undefined;
  let shape: string | undefined;

  async function done(fenced: Fenced, { work, ...told }: Asked) {
    let after: Fenced;
    try {
      after = await work(fenced);
      told.onDone();
    } catch (error) {
      told.reject(error);
      return undefined;
    }
    await finishSwitch(broker, after).finally(() => told.resolve());
    return after;
  }

  return {
    ask(work, onDone) {
      return new Promise((resolve, reject) => {
        asked = { work, onDone, resolve, reject };
      });
    },
    async take(took, entries, handler) {
      if (entries === undefined) return took;
      const { seq } = took;
      const { joining, shape: before } = took.record; // one that joins folds all of its entries by this version
      const known = (joining === undefined ? before : undefined) ?? shapeOf(handler);
      const record = known === undefined ? took.record : { ...took.record, shape: known };
      const fenced = { place, record, seq, entries };
      await finishSwitch(broker, fenced);
      if (asked === undefined) await forgetSoon(broker, place); // of a rebuild that has died
      const ownWork =
        asked === undefined && joining === undefined
          ? atStart(handler, place, record.shape)
          : undefined;
      const own = ownWork && { work: ownWork, onDone() {}, resolve() {}, reject() {} };
      const turn = asked ?? own;
      asked = undefined;
      if (turn === undefined) {
        shape = record.shape;
        return { record, seq };
      }
      const after = await done(fenced, turn);
      entries.forget();
      if (after === undefined) return undefined;
      shape = after.record.shape;
      return { record: after.record, seq: after.seq };
    },
    refuse(why) {
      asked?.reject(why);
      asked = undefined;
    },
    get shape() {
      return shape;
    },
  };
}
