// The directories that one reader keeps.
// B1 All of them together hold no more than `keptMax` between two questions; a larger one is made for each question.
// B2 None is older than `lifeMs`: tombstones last longer. B3 A bucket that was made anew has a new one.
import type { RangeReader, StreamInfo } from "../broker/index.ts";
import { createDirectory, type Directory, type Listing } from "./directory.ts";

export type Ask = <T>(
  name: string,
  bucket: StreamInfo,
  question: (listing: Listing) => T,
) => Promise<T>;

interface Kept {
  readonly directory: Directory;
  /** When its stream was created. */
  readonly created: string;
  readonly life: NodeJS.Timeout;
}

const keptMax = 250_000; // entries, and what they are found by: 100 to 200 bytes each
const lifeMs = 10 * 60_000;

export function createDirectories(reader: RangeReader): Ask {
  const kept = new Map<string, Kept>(); // in order of use: the first is the oldest

  function open(name: string, { created }: StreamInfo): Kept {
    const known = kept.get(name);
    if (known !== undefined) kept.delete(name); // to be the youngest again
    if (known?.created === created) return known;
    clearTimeout(known?.life);
    const life = setTimeout(() => drop(name, made), lifeMs).unref();
    const made: Kept = { directory: createDirectory(reader, name), created, life };
    return made;
  }

  function drop(name: string, one: Kept): void {
    if (kept.get(name) === one) kept.delete(name);
  }

  function makeRoom(): void {
    let size = 0;
    for (const { directory } of kept.values()) size += directory.size;
    for (const [name, one] of kept) {
      if (size <= keptMax) return;
      size -= one.directory.size;
      clearTimeout(one.life);
      drop(name, one);
    }
  }

  return async (name, bucket, question) => {
    const one = open(name, bucket);
    kept.set(name, one);
    try {
      return await one.directory.ask(bucket, question);
    } finally {
      makeRoom();
    }
  };
}
