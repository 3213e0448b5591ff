// The tally of a projection: its bucket keeps the last cursor only, so the whole is compared at once. Pure.
import type { Mark, Tally } from "./tally.ts";

/** `isBase`: it began at the first event, and the whole stream is there. */
export function createCursorTally(mark: Mark | undefined, isBase: boolean): Tally {
  const floor = mark?.floor ?? 0;
  const above = mark?.above ?? [];
  let interval = 0;
  let events = 0;
  let completed = 0;
  let repeats = 0;

  function isCompleted(seq: number): boolean {
    if (seq <= floor) return true;
    while (interval < above.length && seq > (above[interval + 1] as number)) interval += 2;
    return seq >= (above[interval] ?? Number.POSITIVE_INFINITY);
  }

  return {
    event(seq, _type, isRepeat) {
      events++;
      if (!isCompleted(seq)) return;
      completed++;
      if (isRepeat) repeats++;
    },
    trace() {},
    record() {},
    last: mark,
    result() {
      const { delivered, duplicate } = mark?.counts ?? { delivered: 0, duplicate: 0 };
      const lacking = isBase && mark !== undefined ? completed - delivered : 0;
      return {
        events,
        lag: events - completed,
        last: mark,
        gaps: lacking > 0 ? [{ count: lacking, suspects: [], suspected: completed }] : [],
        excess: lacking < 0 ? -lacking : 0,
        unwanted: 0,
        falseDuplicates: isBase ? Math.max(0, duplicate - repeats) : 0,
        restarts: 0,
      };
    },
  };
}
