// The tallies of a projection, one for each of its streams: its bucket keeps the last cursor only, so the whole is compared
// at once, and with the counts of all streams together. Pure.
import type { Counts } from "../ledger/counts.ts";
import type { InputRecord } from "../ledger/record.ts";
import type { Tallied, Tally } from "./tally.ts";

export interface Cursor {
  /** Where it stands in each stream; undefined where it has not read it. */
  readonly inputs: readonly (InputRecord | undefined)[];
  /** Undefined where it never ran. */
  readonly counts: Readonly<Counts> | undefined;
  /** It began at the first event, and all streams are there as a whole. */
  readonly isBase: boolean;
}

/** What one stream has. */
interface Sums {
  events: number;
  completed: number;
  repeats: number;
}

/** In the order of its streams. The first one's result is that of all. */
export function createCursorTallies({ inputs, counts, isBase }: Cursor): Tally[] {
  const sums = inputs.map((): Sums => ({ events: 0, completed: 0, repeats: 0 }));
  const [home] = inputs;
  const last = counts && { floor: home?.floor ?? 0, above: home?.above ?? [], counts };

  function result(): Tallied {
    const all = (of: keyof Sums) => sums.reduce((sum, one) => sum + one[of], 0);
    const completed = all("completed");
    const { delivered, duplicate } = counts ?? { delivered: 0, duplicate: 0 };
    const lacking = isBase && counts !== undefined ? completed - delivered : 0;
    return {
      events: all("events"),
      lag: all("events") - completed,
      last,
      gaps: lacking > 0 ? [{ count: lacking, suspects: [], suspected: completed }] : [],
      excess: lacking < 0 ? -lacking : 0,
      unwanted: 0,
      falseDuplicates: isBase ? Math.max(0, duplicate - all("repeats")) : 0,
      restarts: 0,
    };
  }

  return inputs.map((input, at): Tally => {
    const isCompleted = completedBy(input);
    const sum = sums[at] as Sums;
    return {
      event(seq, _type, isRepeat) {
        sum.events++;
        if (!isCompleted(seq)) return;
        sum.completed++;
        if (isRepeat) sum.repeats++;
      },
      trace() {},
      record() {},
      last,
      result,
    };
  });
}

/** Asked in rising order. */
function completedBy(input: InputRecord | undefined): (seq: number) => boolean {
  const { floor, above } = input ?? { floor: 0, above: [] };
  let interval = 0;
  return (seq) => {
    if (seq <= floor) return true;
    while (interval < above.length && seq > (above[interval + 1] as number)) interval += 2;
    return seq >= (above[interval] ?? Number.POSITIVE_INFINITY);
  };
}
