// What the log says of one handler, compared with what its ledger says, step by step: between two ledger records as
// many events were completed as were counted. Pure; fed in stream order.
// T1 Only events that are not completed yet are held: what is in the lag, not what is in the stream.
// T2 An event that left a trace (an effect, a repeat, a standing) is never suspected of having no outcome.
import type { Counts } from "../ledger/counts.ts";
import type { Intervals } from "../ledger/floor.ts";

/** What a ledger record says of the stream. */
export interface Mark {
  readonly floor: number;
  readonly above: Intervals;
  readonly counts: Readonly<Counts>;
}

/** Completed, but not counted: so many of these positions have no outcome. */
export interface Gap {
  readonly count: number;
  /** At most `suspectsMax` of them. */
  readonly suspects: readonly number[];
  readonly suspected: number;
}

export interface Tallied {
  /** Events of its types in the stream. */
  readonly events: number;
  /** Events of its types that no record has completed. */
  readonly lag: number;
  /** The last record; undefined where there is none. */
  readonly last: Mark | undefined;
  readonly gaps: readonly Gap[];
  /** Counted, though no event of its types was completed. */
  readonly excess: number;
  /** Passed before the handler's declaration had their type. */
  readonly unwanted: number;
  /** Called duplicates more often than the stream has repeats. */
  readonly falseDuplicates: number;
  /** The ledger went back or began anew: what came before is not compared. */
  readonly restarts: number;
}

export interface Tally {
  /** An event of its types; `type` is which of them. */
  event(seq: number, type: number, isRepeat: boolean): void;
  /** The event at this position left a trace. */
  trace(seq: number): void;
  record(mark: Mark): void;
  readonly last: Mark | undefined;
  result(): Tallied;
}

const suspectsMax = 100;
const completed = 1;
const traced = 2;
const repeated = 4;

/** The tally of a handler of so many types, in a stream that begins at `firstSeq`. */
export function createTally(types: number, firstSeq: number): Tally {
  const pending = createPending();
  const known = new Uint8Array(types); // types that were counted at least once
  const gaps: Gap[] = [];
  let last: Mark | undefined;
  let seen: Mark | undefined;
  let events = 0;
  let excess = 0;
  let unwanted = 0;
  let restarts = 0;
  let repeats = 0;
  let duplicates = 0;

  function record(mark: Mark): void {
    const before = last;
    const step = pending.complete(mark, types);
    seen = mark;
    if (before === undefined && mark.floor < firstSeq - 1) return; // what it has not completed yet may be cut
    last = mark;
    if (before === undefined) return;
    const counted = mark.counts.delivered - before.counts.delivered;
    if (counted < 0 || mark.floor < before.floor) {
      restarts++;
      return;
    }
    repeats += step.repeats;
    duplicates += mark.counts.duplicate - before.counts.duplicate;
    compare(step, counted);
  }

  function compare(step: Step, counted: number): void {
    const lacking = step.count - counted;
    if (lacking === 0) {
      step.byType.forEach((count, type) => {
        if (count > 0) known[type] = 1;
      });
    } else if (lacking < 0) excess -= lacking;
    else if (isNewType(step, lacking)) unwanted += lacking;
    else gaps.push({ count: lacking, suspects: step.suspects, suspected: step.suspected });
  }

  // A type that was added to the declaration later: until then all events of it were passed, and none was counted.
  function isNewType({ byType }: Step, lacking: number): boolean {
    if (types < 2) return false;
    let all = 0;
    for (let type = 0; type < types; type++) {
      if (known[type] === 1) continue;
      if (byType[type] === lacking) return true;
      all += byType[type] as number;
    }
    return all === lacking;
  }

  return {
    event(seq, type, isRepeat) {
      events++;
      pending.push(seq, type, isRepeat ? repeated | traced : 0);
    },
    trace: (seq) => pending.flag(seq, traced),
    record,
    get last() {
      return seen;
    },
    result() {
      const lag = pending.open();
      const falseDuplicates = restarts > 0 ? 0 : Math.max(0, duplicates - repeats);
      return { events, lag, last: seen, gaps, excess, unwanted, falseDuplicates, restarts };
    },
  };
}

interface Step {
  readonly count: number;
  readonly repeats: number;
  readonly byType: Uint32Array;
  readonly suspects: readonly number[];
  readonly suspected: number;
}

/** Positions in rising order with flags, from the first that is not completed. */
function createPending() {
  let seqs = new Float64Array(1024);
  let flags = new Uint8Array(1024);
  let typeOf = new Uint16Array(1024);
  let head = 0;
  let tail = 0;

  function makeRoom(): void {
    const size = (tail - head) * 2 > seqs.length ? seqs.length * 2 : seqs.length;
    const moved = {
      seqs: new Float64Array(size),
      flags: new Uint8Array(size),
      typeOf: new Uint16Array(size),
    };
    moved.seqs.set(seqs.subarray(head, tail));
    moved.flags.set(flags.subarray(head, tail));
    moved.typeOf.set(typeOf.subarray(head, tail));
    ({ seqs, flags, typeOf } = moved);
    tail -= head;
    head = 0;
  }

  function find(seq: number): number {
    let low = head;
    let high = tail;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((seqs[middle] as number) < seq) low = middle + 1;
      else high = middle;
    }
    return low < tail && seqs[low] === seq ? low : -1;
  }

  return {
    push(seq: number, type: number, flag: number): void {
      if (tail === seqs.length) makeRoom();
      seqs[tail] = seq;
      flags[tail] = flag;
      typeOf[tail++] = type;
    },
    flag(seq: number, flag: number): void {
      const at = find(seq);
      if (at >= 0) flags[at] = (flags[at] as number) | flag;
    },
    complete({ floor, above }: Mark, types: number): Step {
      const byType = new Uint32Array(types);
      const suspects: number[] = [];
      let count = 0;
      let suspected = 0;
      let repeats = 0;
      let interval = 0;
      const to = Math.max(floor, above.at(-1) ?? 0);
      for (let at = head; at < tail; at++) {
        const seq = seqs[at] as number;
        if (seq > to) break;
        while (interval < above.length && seq > (above[interval + 1] as number)) interval += 2;
        const flag = flags[at] as number;
        const isDone = seq <= floor || seq >= (above[interval] ?? Number.POSITIVE_INFINITY);
        if (!isDone || (flag & completed) !== 0) continue;
        flags[at] = flag | completed;
        count++;
        byType[typeOf[at] as number] = (byType[typeOf[at] as number] as number) + 1;
        if ((flag & repeated) !== 0) repeats++;
        if ((flag & traced) !== 0) continue;
        suspected++;
        if (suspects.length < suspectsMax) suspects.push(seq);
      }
      while (head < tail && ((flags[head] as number) & completed) !== 0) head++;
      return { count, repeats, byType, suspects, suspected };
    },
    open(): number {
      let open = 0;
      for (let at = head; at < tail; at++) if (((flags[at] as number) & completed) === 0) open++;
      return open;
    },
  };
}
