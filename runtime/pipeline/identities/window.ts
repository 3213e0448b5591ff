// The window of known identities: hash to the sequence it first stood at. Typed arrays, bounded. Pure.
// W1 At most 32 bytes an identity: 16 in the ring (hash, sequence), 4 to 16 in the table of slots.
// W2 The oldest leave first: by count, and by `forgetBelow`.
// W3 Two identities of one hash: the later replaces the earlier in the table; a hit is verified by the caller.
// W4 Sequences are added in rising order.
import type { Hash64 } from "./hash.ts";

export interface Window {
  /** The sequence at which this hash stands, or 0. */
  find(hash: Hash64): number;
  /** Adds a hash at a sequence above all before it. */
  add(hash: Hash64, seq: number): void;
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

  function probe(hash: Hash64): number {
    const mask = table.length - 1;
    let at = (hash.lo ^ Math.imul(hash.hi, 0x9e3779b1)) & mask;
    for (;;) {
      const entry = table[at] as number;
      if (entry === 0) return at;
      if (ring.lo[entry - 1] === hash.lo && ring.hi[entry - 1] === hash.hi) return at;
      at = (at + 1) & mask;
    }
  }

  // Linear probing without tombstones: what follows a freed place moves up into it.
  function free(place: number): void {
    const mask = table.length - 1;
    let hole = place;
    for (let at = (hole + 1) & mask; table[at] !== 0; at = (at + 1) & mask) {
      const entry = (table[at] as number) - 1;
      const home =
        ((ring.lo[entry] as number) ^ Math.imul(ring.hi[entry] as number, 0x9e3779b1)) & mask;
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
    const place = probe({ hi: ring.hi[at] as number, lo: ring.lo[at] as number });
    if (table[place] === at + 1) free(place);
  }

  function grow(): void {
    const before = { ring, capacity };
    capacity *= 2;
    ring = makeRing(capacity);
    table = new Uint32Array(capacity * 2);
    for (let n = head; n < tail; n++) {
      const from = n & (before.capacity - 1);
      const at = index(n);
      ring.hi[at] = before.ring.hi[from] as number;
      ring.lo[at] = before.ring.lo[from] as number;
      ring.seq[at] = before.ring.seq[from] as number;
      table[probe({ hi: ring.hi[at] as number, lo: ring.lo[at] as number })] = at + 1;
    }
  }

  return {
    find(hash) {
      const entry = table[probe(hash)] as number;
      return entry === 0 ? 0 : (ring.seq[entry - 1] as number);
    },
    add(hash, seq) {
      if (tail - head >= countMax) dropOldest();
      else if (tail - head === capacity) grow();
      const at = index(tail++);
      ring.hi[at] = hash.hi;
      ring.lo[at] = hash.lo;
      ring.seq[at] = seq;
      table[probe(hash)] = at + 1;
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

function makeRing(capacity: number) {
  return {
    hi: new Uint32Array(capacity),
    lo: new Uint32Array(capacity),
    seq: new Float64Array(capacity),
  };
}
