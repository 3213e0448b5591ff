// The window of known identities: hash to the sequence it first stood at. Typed arrays, bounded. Pure.
// W1 At most 32 bytes an identity: 16 in the ring (hash, sequence), 4 to 16 in the table of slots.
// W2 The oldest leave first: by count, and by `forgetBelow`.
// W3 Two identities of one hash: the later replaces the earlier in the table; a hit is verified by the caller.
// W4 Sequences are added in rising order.
import type { Block } from "./blocks.ts";
import type { Hash64 } from "./hash.ts";

export interface Window {
  /** The sequence at which this hash stands, or 0. */
  find(hash: Hash64): number;
  /** Adds a hash at a sequence above all before it. */
  add(hash: Hash64, seq: number): void;
  /** Adds those of a block that stand above a sequence. */
  addBlock(block: Pick<Block, "from" | "hashes" | "distances">, above: number): void;
  /** So many more will be added: room for them is made at once. */
  expect(count: number): void;
  /** Lets go of all below a sequence. */
  forgetBelow(seq: number): void;
  readonly size: number;
  readonly bytes: number;
  /** How many have left. */
  readonly left: number;
  /** Hashes and sequences from..to in order: what a block holds. */
  slice(
    from: number,
    to: number,
  ): { readonly hashes: Uint32Array; readonly distances: Uint32Array };
}

const smallest = 1024;

export function createWindow(countMax: number): Window {
  let capacity = smallest;
  let ring = makeRing(capacity);
  let table = new Uint32Array(capacity * 2); // ring index + 1; 0 is free
  let head = 0; // oldest, as a running number; its ring index is head & (capacity - 1)
  let tail = 0;
  let left = 0;

  const index = (n: number) => n & (capacity - 1);

  // Linear probing without tombstones: what follows a freed place moves up into it.
  function free(place: number): void {
    const mask = table.length - 1;
    let hole = place;
    for (let at = (hole + 1) & mask; table[at] !== 0; at = (at + 1) & mask) {
      const entry = (table[at] as number) - 1;
      const home = homeOf(ring.hi[entry] as number, ring.lo[entry] as number) & mask;
      if (((at - home) & mask) >= ((at - hole) & mask)) {
        table[hole] = entry + 1;
        hole = at;
      }
    }
    table[hole] = 0;
  }

  function dropOldest(): void {
    const at = index(head++);
    left++;
    const place = placeOf(ring, table, ring.hi[at] as number, ring.lo[at] as number);
    if (table[place] === at + 1) free(place);
  }

  function grow(to: number): void {
    const before = { ring, capacity };
    capacity = to;
    ring = makeRing(capacity);
    table = new Uint32Array(capacity * 2);
    for (let n = head; n < tail; n++) {
      const from = n & (before.capacity - 1);
      const at = index(n);
      ring.hi[at] = before.ring.hi[from] as number;
      ring.lo[at] = before.ring.lo[from] as number;
      ring.seq[at] = before.ring.seq[from] as number;
      table[placeOf(ring, table, ring.hi[at] as number, ring.lo[at] as number)] = at + 1;
    }
  }

  function put(hi: number, lo: number, seq: number): void {
    if (tail - head >= countMax) dropOldest();
    else if (tail - head === capacity) grow(2 * capacity);
    const at = index(tail++);
    ring.hi[at] = hi;
    ring.lo[at] = lo;
    ring.seq[at] = seq;
    table[placeOf(ring, table, hi, lo)] = at + 1;
  }

  return {
    find(hash) {
      const entry = table[placeOf(ring, table, hash.hi, hash.lo)] as number;
      return entry === 0 ? 0 : (ring.seq[entry - 1] as number);
    },
    add: (hash, seq) => put(hash.hi, hash.lo, seq),
    addBlock({ from, hashes, distances }, above) {
      let seq = from;
      for (let at = 0; at < distances.length; at++) {
        seq += distances[at] as number;
        if (seq > above) put(hashes[at * 2] as number, hashes[at * 2 + 1] as number, seq);
      }
    },
    expect(count) {
      const wanted = Math.min(tail - head + count, countMax);
      if (wanted > capacity) grow(2 ** Math.ceil(Math.log2(wanted)));
    },
    forgetBelow(seq) {
      while (head < tail && (ring.seq[index(head)] as number) < seq) dropOldest();
    },
    get size() {
      return tail - head;
    },
    get bytes() {
      return capacity * 16 + table.byteLength;
    },
    get left() {
      return left;
    },
    slice(from, to) {
      const hashes: number[] = [];
      const distances: number[] = [];
      let before = from;
      for (
        let n = firstFrom((n) => ring.seq[index(n)] as number, head, tail, from);
        n < tail;
        n++
      ) {
        const at = index(n);
        const seq = ring.seq[at] as number;
        if (seq > to) break;
        hashes.push(ring.hi[at] as number, ring.lo[at] as number);
        distances.push(seq - before);
        before = seq;
      }
      return { hashes: Uint32Array.from(hashes), distances: Uint32Array.from(distances) };
    },
  };
}

/** Where a hash stands in the table, or would. */
function placeOf(ring: Ring, table: Uint32Array, hi: number, lo: number): number {
  const mask = table.length - 1;
  let at = homeOf(hi, lo) & mask;
  for (;;) {
    const entry = table[at] as number;
    if (entry === 0) return at;
    if (ring.lo[entry - 1] === lo && ring.hi[entry - 1] === hi) return at;
    at = (at + 1) & mask;
  }
}

function homeOf(hi: number, lo: number): number {
  return lo ^ Math.imul(hi, 0x9e3779b1);
}

/** The running number of the first entry at or above a sequence: entries stand in rising order. */
function firstFrom(seqAt: (n: number) => number, head: number, tail: number, seq: number): number {
  let low = head;
  let high = tail;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (seqAt(middle) < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

type Ring = ReturnType<typeof makeRing>;

function makeRing(capacity: number) {
  return {
    hi: new Uint32Array(capacity),
    lo: new Uint32Array(capacity),
    seq: new Float64Array(capacity),
  };
}
