// Which positions of one input a handler has completed: the floor, and the completed ones above it. Pure.
// F1 All that was delivered at or below the floor is completed. F2 Positions arrive in rising order.
// F3 The floor moves only over what was stored; what is included in a group can be taken back until then.

/** Completed stretches above the floor: from, to (both inclusive), from, to, … in rising order. */
export type Intervals = readonly number[];

export interface Floor<Item> {
  /** Notes a delivery: a slot, or undefined where the position is known or was completed in an earlier life. */
  deliver(seq: number, item: Item): number | undefined;
  include(slot: number): void;
  exclude(slot: number): void;
  /** Moves over what is included, after it was stored; the item of the highest position passed. */
  advance(onPassed?: (item: Item) => void): Item | undefined;
  /** The item that holds the floor, where one does. */
  oldest(): Item | undefined;
  /** Includes all up to a position below which nothing is in flight and nothing unread. */
  raise(to: number): void;
  /** Floor and intervals as they are once the included is stored. */
  read(): { readonly floor: number; readonly above: Intervals };
  /** The floor as it is stored. */
  readonly passed: number;
  readonly inFlight: number;
}

export function createFloor<Item>(start: { floor: number; above: Intervals }): Floor<Item> {
  let size = 1024; // a power of two; grows with what is in flight
  let seqs = new Float64Array(size);
  let included = new Uint8Array(size);
  let items: (Item | undefined)[] = new Array(size);
  let head = 0; // first slot not yet passed
  let tail = 0; // next free slot
  let floor = start.floor;
  let lastDelivered = start.floor;
  let open = 0;

  function grow(): void {
    const from = { seqs, included, items, mask: size - 1 };
    size *= 2;
    seqs = new Float64Array(size);
    included = new Uint8Array(size);
    items = new Array(size);
    for (let slot = head; slot < tail; slot++) {
      const at = slot & (size - 1);
      seqs[at] = from.seqs[slot & from.mask] as number;
      included[at] = from.included[slot & from.mask] as number;
      items[at] = from.items[slot & from.mask];
    }
  }

  const seqAt = (slot: number) => seqs[slot & (size - 1)] as number;
  const isIncluded = (slot: number) => included[slot & (size - 1)] === 1;

  function set(slot: number, value: 0 | 1): void {
    const at = slot & (size - 1);
    if (slot < head || slot >= tail || included[at] === value) return;
    included[at] = value;
    open += value === 1 ? -1 : 1;
  }

  return {
    deliver(seq, item) {
      if (seq <= lastDelivered) return undefined;
      lastDelivered = seq;
      if (tail - head === size) grow();
      const slot = tail++;
      const at = slot & (size - 1);
      seqs[at] = seq;
      items[at] = item;
      const done = holds(start.above, seq);
      included[at] = done ? 1 : 0;
      if (done) return undefined;
      open++;
      return slot;
    },
    include: (slot) => set(slot, 1),
    exclude: (slot) => set(slot, 0),
    advance(onPassed) {
      let passed: Item | undefined;
      while (head < tail && isIncluded(head)) {
        const at = head++ & (size - 1);
        floor = seqs[at] as number;
        passed = items[at];
        items[at] = undefined;
        if (passed !== undefined) onPassed?.(passed);
      }
      if (head === tail) floor = lastDelivered;
      return passed;
    },
    oldest: () => (head < tail ? items[head & (size - 1)] : undefined),
    raise(to) {
      if (open === 0 && to > lastDelivered) lastDelivered = to;
    },
    read() {
      let slot = head;
      while (slot < tail && isIncluded(slot)) slot++;
      const reached = slot === tail ? Math.max(floor, lastDelivered) : seqAt(slot) - 1;
      return { floor: Math.max(floor, reached), above: [...stretches(slot), ...unread()] };
    },
    get passed() {
      return floor;
    },
    get inFlight() {
      return open;
    },
  };

  function stretches(from: number): number[] {
    const above: number[] = [];
    for (let slot = from; slot < tail; slot++) {
      if (!isIncluded(slot)) continue;
      const first = seqAt(slot);
      while (slot + 1 < tail && isIncluded(slot + 1)) slot++;
      above.push(first, seqAt(slot));
    }
    return above;
  }

  // Stretches of the earlier life that were not delivered again yet still count.
  function unread(): number[] {
    const left: number[] = [];
    for (let at = 0; at < start.above.length; at += 2) {
      const to = start.above[at + 1] as number;
      if (to > lastDelivered) left.push(Math.max(start.above[at] as number, lastDelivered + 1), to);
    }
    return left;
  }
}

export function holds(intervals: Intervals, seq: number): boolean {
  for (let at = 0; at < intervals.length; at += 2) {
    if (seq < (intervals[at] as number)) return false;
    if (seq <= (intervals[at + 1] as number)) return true;
  }
  return false;
}
