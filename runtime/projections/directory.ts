// The keys of one projection in their order, with what its entries are found by: kept in memory by whoever reads, and
// caught up with the server at each question.
// D1 Nothing is answered from memory that is older than the question. D2 What the entries' own messages say is all
// that there is to know: a directory can be dropped and made again at any time, by anybody.
import type { RangeReader, StreamInfo } from "../broker/index.ts";
import { type Head, readHeads, type Standing } from "./heads.ts";
import { createMarked } from "./marked.ts";

export interface Listed {
  readonly key: string;
  readonly head: Head;
}

/** What can be asked of a directory; good for the moment at which it is given. */
export interface Listing {
  /** Entries from a key on, in order: those with all of these marks, and perhaps others. */
  from(key: string, marks: readonly string[]): Iterable<Listed>;
  /** Entries that were folded when this index was not declared. */
  lacking(index: string): number;
  readonly live: number;
}

export interface Directory {
  /** Asks once all is taken in that the bucket held when it was looked at. */
  ask<T>(bucket: StreamInfo, question: (listing: Listing) => T): Promise<T>;
  /** Subjects and marks that it knows. */
  readonly size: number;
}

// Keys with a mark are sorted for each question; where they are more than this share of all, going through all is cheaper.
const denseShare = 0.05;

export function createDirectory(reader: RangeReader, name: string, copies?: string): Directory {
  let heads = new Map<string, Head | undefined>(); // undefined: deleted
  let keys: string[] = []; // of `heads`
  let sorted = true;
  let beside = new Set<string>();
  let marked = createMarked();
  let live = 0;
  let upTo = 0;
  let last: Promise<unknown> = Promise.resolve();

  function take(standing: Standing): void {
    if (standing.kind === "beside") {
      beside.add(standing.natsSubject);
      return;
    }
    const { key, head } = standing;
    const before = heads.get(key);
    if (before !== undefined) marked.remove(key, before.marks);
    if (!heads.has(key)) {
      keys.push(key);
      sorted = false;
    }
    const now = head.bytes === 0 ? undefined : head;
    heads.set(key, now);
    if (now !== undefined) marked.add(key, now.marks);
    live += Number(now !== undefined) - Number(before !== undefined);
  }

  function forget(): void {
    [heads, keys, sorted, beside] = [new Map(), [], true, new Set()];
    [marked, live, upTo] = [createMarked(), 0, 0];
  }

  async function step({ state }: StreamInfo): Promise<void> {
    // Removed without a marker, as by a purge: nothing else tells.
    if (upTo === state.last_seq && heads.size + beside.size !== state.messages) forget();
    if (upTo >= state.last_seq) return;
    let read = upTo;
    for await (const chunk of readHeads(reader, name, upTo, copies)) {
      for (const standing of chunk) {
        take(standing);
        read = standing.kind === "entry" ? standing.head.seq : standing.seq;
      }
    }
    upTo = Math.max(read, state.last_seq);
  }

  function inOrder(): readonly string[] {
    if (!sorted) keys.sort();
    sorted = true;
    return keys;
  }

  const listing: Listing = {
    *from(first, wanted) {
      const few = marked.rarest(wanted);
      const isFew = few !== undefined && few.size < keys.length * denseShare;
      const some = isFew ? [...few].filter((key) => key >= first).sort() : inOrder();
      for (let at = placeOf(some, first); at < some.length; at++) {
        const key = some[at] as string;
        const head = heads.get(key);
        if (head !== undefined) yield { key, head };
      }
    },
    lacking: (index) => live - marked.having(index),
    get live() {
      return live;
    },
  };

  return {
    ask(bucket, question) {
      const answer = last
        .catch(() => {}) // told to whoever has asked then
        .then(() => step(bucket))
        .then(() => question(listing));
      last = answer;
      return answer;
    },
    get size() {
      return heads.size + beside.size + marked.size;
    },
  };
}

/** Where the first key stands that is not below this one. */
function placeOf(sorted: readonly string[], key: string): number {
  let [from, to] = [0, sorted.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((sorted[middle] as string) < key) from = middle + 1;
    else to = middle;
  }
  return from;
}
