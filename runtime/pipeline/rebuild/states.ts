// The states of a projection while they are folded anew: the few in work as they are, all others as JSON. Pure.
// S1 What it holds is bounded: above that it refuses, and nothing was changed.
import { EddyError } from "../../events/index.ts";

export interface States {
  /** Undefined where there is none. */
  get(key: string): unknown;
  /** null: the entry is removed. `marks` is what it is found by. */
  set(key: string, state: unknown, marks: string): void;
  marks(key: string): string;
  /** Its JSON; empty for one that was removed; undefined for one that no event has touched. */
  text(key: string): string | undefined;
  /** All that was touched, also what was removed. Nothing is in work any more after that. */
  keys(): IterableIterator<string>;
  readonly size: number;
}

const inWorkMax = 20_000;
const charsMax = 256 * 2 ** 20;

export function createStates(projection: string, limit = charsMax): States {
  const inWork = new Map<string, unknown>();
  const texts = new Map<string, string>();
  const found = new Map<string, string>(); // marks, where there are any
  let chars = 0;

  function put(key: string, state: unknown): void {
    const before = texts.get(key);
    const text = state === undefined ? "" : jsonOf(projection, key, state);
    chars += text.length - (before === undefined ? -key.length : before.length);
    texts.set(key, text);
  }

  function putAll(): void {
    for (const [key, state] of inWork) put(key, state);
    inWork.clear();
    if (chars > limit) throw tooLarge(projection, texts.size, limit);
  }

  return {
    get(key) {
      const state = inWork.get(key);
      if (state !== undefined || inWork.has(key)) return state;
      const text = texts.get(key);
      return text === undefined || text === "" ? undefined : JSON.parse(text);
    },
    set(key, state, marks) {
      inWork.set(key, state ?? undefined);
      chars += marks.length - (found.get(key)?.length ?? 0);
      if (marks === "") found.delete(key);
      else found.set(key, marks);
      if (inWork.size >= inWorkMax) putAll();
    },
    marks: (key) => found.get(key) ?? "",
    text(key) {
      if (inWork.has(key)) putAll();
      return texts.get(key);
    },
    keys() {
      putAll();
      return texts.keys();
    },
    get size() {
      return texts.size + inWork.size;
    },
  };
}

function jsonOf(projection: string, key: string, state: unknown): string {
  try {
    const text = JSON.stringify(state);
    if (text !== undefined) return text;
  } catch {
    // said below: a cycle or a BigInt
  }
  const text = `projection ${projection} was not rebuilt: the new state of ${JSON.stringify(key.slice(0, 100))} is no JSON value. Its entries are as they were`;
  throw new EddyError("EDDY_REBUILD_FAILED", text, { projection });
}

function tooLarge(projection: string, entries: number, limit: number): EddyError {
  const text =
    `projection ${projection} was not rebuilt: ${entries} entries of the new version have more than ${limit} characters, ` +
    "which a node does not hold in memory. Its entries are as they were. Keep less in an entry, or fold it under a new name";
  return new EddyError("EDDY_REBUILD_TOO_LARGE", text, { projection, entries });
}
