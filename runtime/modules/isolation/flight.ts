// The calls of one thread: which wait, which were sent, and who is to blame when the thread dies. Pure.
// F1 A call that was not begun is never to blame. F2 Who kept the thread busy when it died is to blame, and nobody
// else. F3 Where that is not known, those that were begun are sent again one at a time, before all others: the one
// that is alone when the thread dies again is to blame. F4 Calls are sent in their order, also again.

export interface Flight<Call> {
  add(call: Call): void;
  /** Calls that may be sent now, with their numbers. */
  next(): readonly { readonly number: number; readonly call: Call }[];
  /** The call has its result, which takes it out; undefined where it is not in flight. */
  settle(number: number): Call | undefined;
  at(number: number): Call | undefined;
  /** Those that were sent, in order. */
  inFlight(): readonly Call[];
  /** The thread is dead; gives the call that is to blame and takes it out, and sends the others again. */
  died(last: number, current: number): Call | undefined;
  /** Takes out all. */
  clear(): readonly Call[];
  /** In the thread. */
  readonly sent: number;
  /** To be tried one at a time. */
  readonly suspects: number;
  readonly size: number;
}

export function createFlight<Call>(): Flight<Call> {
  let sent = new Map<number, Call>(); // in the order in which they were sent
  let waiting: Call[] = [];
  let suspects: Call[] = [];
  let alone = false; // the call in flight is a suspect that is tried
  let last = 0;

  function number(call: Call): { number: number; call: Call } {
    last = (last + 1) | 0 || 1; // wraps as the shared words do; 0 means none
    sent.set(last, call);
    return { number: last, call };
  }

  function wasBegun(number: number, lastBegun: number): boolean {
    return lastBegun !== 0 && ((lastBegun - number) | 0) >= 0;
  }

  return {
    add(call) {
      waiting.push(call);
    },
    next() {
      if (alone && sent.size > 0) return [];
      const suspect = suspects.shift();
      alone = suspect !== undefined;
      if (suspect !== undefined) return [number(suspect)];
      const calls = waiting;
      waiting = [];
      return calls.map(number);
    },
    settle(number) {
      const call = sent.get(number);
      sent.delete(number);
      return call;
    },
    at: (number) => sent.get(number),
    inFlight: () => [...sent.values()],
    died(lastBegun, current) {
      const numbers = [...sent.keys()].filter((number) => wasBegun(number, lastBegun));
      const begun = numbers.flatMap((number) => sent.get(number) ?? []);
      const known = sent.get(current) ?? (begun.length === 1 ? begun[0] : undefined);
      const again = [...sent.values()].filter((call) => call !== known);
      if (known === undefined) {
        suspects = [...begun, ...suspects];
        waiting = [...again.slice(begun.length), ...waiting];
      } else waiting = [...again, ...waiting];
      sent = new Map();
      alone = false;
      last = 0;
      return known;
    },
    clear() {
      const all = [...sent.values(), ...suspects, ...waiting];
      sent = new Map();
      suspects = [];
      waiting = [];
      alone = false;
      return all;
    },
    get sent() {
      return sent.size;
    },
    get suspects() {
      return suspects.length + (alone ? 1 : 0);
    },
    get size() {
      return sent.size + suspects.length + waiting.length;
    },
  };
}
