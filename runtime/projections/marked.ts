// Which entries have which marks, in memory: the inverse of what their messages say.
import { indexIn } from "../authoring/index.ts";

export interface Marked {
  add(key: string, marks: string): void;
  /** With the marks that it was added with. */
  remove(key: string, marks: string): void;
  /** The keys with the rarest of these marks; undefined where none is asked for. */
  rarest(marks: readonly string[]): ReadonlySet<string> | undefined;
  /** How many entries say of this index what they have in it, also where that is nothing. */
  having(index: string): number;
  /** Pairs of an entry and a mark. */
  readonly size: number;
}

const nobody: ReadonlySet<string> = new Set();

export function createMarked(): Marked {
  const keysOf = new Map<string, Set<string>>();
  const indexed = new Map<string, number>();
  let size = 0;

  function count(marks: readonly string[], by: number): void {
    size += by * marks.length;
    for (const index of new Set(marks.map(indexIn)))
      indexed.set(index, (indexed.get(index) ?? 0) + by);
  }

  return {
    add(key, text) {
      const marks = listOf(text);
      for (const mark of marks) {
        const keys = keysOf.get(mark) ?? new Set();
        keysOf.set(mark, keys.add(key));
      }
      count(marks, 1);
    },
    remove(key, text) {
      const marks = listOf(text);
      for (const mark of marks) {
        const keys = keysOf.get(mark);
        keys?.delete(key);
        if (keys?.size === 0) keysOf.delete(mark);
      }
      count(marks, -1);
    },
    rarest(marks) {
      const sets = marks.map((mark) => keysOf.get(mark) ?? nobody);
      return sets.sort((a, b) => a.size - b.size)[0];
    },
    having: (index) => indexed.get(index) ?? 0,
    get size() {
      return size;
    },
  };
}

function listOf(marks: string): string[] {
  return marks === "" ? [] : marks.split(" ");
}
