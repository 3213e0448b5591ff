// Ranges of several streams read as one, in the order in which their servers stored the messages: the nearest there is to
// an order between streams, and the same one each time. Within a stream its own order holds, whatever its clock did.
// M1 At most one chunk of each stream is held. M2 However reading ends, nothing is left open.
import type { Delivery } from "./delivery.ts";
import { type Range, type RangeReader, readRange } from "./range.ts";

/** Messages of one stream that follow each other. */
export interface Stretch {
  readonly stream: string;
  /** Never empty. */
  readonly deliveries: readonly Delivery[];
}

interface Head {
  readonly stream: string;
  readonly chunks: AsyncGenerator<Delivery[]>;
  /** What is left of the chunk that was read last; empty at the end of the range. */
  left: readonly Delivery[];
}

/** At equal times the range that is named first comes first. @throws EddyError `EDDY_READ_FAILED` */
export async function* readMerged(
  broker: RangeReader,
  ranges: readonly Range[],
): AsyncGenerator<Stretch> {
  const heads: Head[] = ranges.map((range) => ({
    stream: range.stream,
    chunks: readRange(broker, range),
    left: [],
  }));
  try {
    await Promise.all(heads.map(refill));
    for (let next = earliest(heads); next !== undefined; next = earliest(heads)) {
      const count = countBefore(next, heads);
      yield { stream: next.stream, deliveries: next.left.slice(0, count) };
      next.left = next.left.slice(count);
      if (next.left.length === 0) await refill(next);
    }
  } finally {
    await Promise.all(heads.map(({ chunks }) => chunks.return(undefined)));
  }
}

async function refill(head: Head): Promise<void> {
  do {
    const { value, done } = await head.chunks.next();
    if (done) return;
    head.left = value;
  } while (head.left.length === 0);
}

function earliest(heads: readonly Head[]): Head | undefined {
  let found: Head | undefined;
  for (const head of heads) if (timeOf(head) < timeOf(found)) found = head;
  return found;
}

/** How many of its messages stand before the first one of every other stream. */
function countBefore(next: Head, heads: readonly Head[]): number {
  const at = heads.indexOf(next);
  const isNext = ({ storedMs }: Delivery) =>
    heads.every((other, place) => {
      if (other === next) return true;
      return place < at ? storedMs < timeOf(other) : storedMs <= timeOf(other);
    });
  const count = next.left.findIndex((delivery) => !isNext(delivery));
  return count === -1 ? next.left.length : Math.max(1, count);
}

function timeOf(head: Head | undefined): number {
  return head?.left[0]?.storedMs ?? Number.POSITIVE_INFINITY;
}
