// The verdict on each position of one stream, in stream order: the first of its identity, or a repeat of an earlier
// one. Owns the window of identities and the repeats found. Does not own where identities come from.
// V1 `passed` only moves on once every event up to it has its verdict. V2 An event is a repeat only after both
// identities were compared: a hash collision loses nothing. V3 Verdicts depend on the log alone, not on when it is read.
// V4 An event whose hash nobody before it bears waits for no other one's verdict.
import { sameIdentity } from "../../events/index.ts";
import { createQueue } from "../queue.ts";
import type { Block } from "./blocks.ts";
import type { Hash64 } from "./hash.ts";
import type { Identity } from "./identity.ts";
import { createWindow } from "./window.ts";

export interface Verdicts {
  /** What stands at the next position; undefined where it is no event. */
  note(seq: number, identity: Identity | undefined): void;
  /** Whether the verdict on a position is known. */
  knows(seq: number): boolean;
  /** The first sequence of the identity that this one repeats; 0 where it is the first itself, or nobody knows yet. */
  repeatOf(seq: number): number;
  /** So many identities are going to be restored. */
  expect(count: number): void;
  /** Takes a block over; identities only where they are within the window, repeats for as long as the log lasts. */
  restore(block: Block, inWindow: boolean): void;
  /** The block's content for positions from..to. */
  slice(from: number, to: number): Pick<Block, "hashes" | "distances" | "repeats">;
  /** The log is cut: repeats and identities below go. */
  cutBelow(seq: number): void;
  /** Identities below are too old. */
  forgetBelow(seq: number): void;
  /** Drops what is open, to be noted again. */
  drop(): void;
  readonly passed: number;
  readonly size: number;
  readonly bytes: number;
  /** Identities that have left the window. */
  readonly left: number;
}

export interface VerdictParts {
  readonly countMax: number;
  readonly hash: (source: string, id: string) => Hash64;
  /** The identity at a position, where the log still has it. */
  readonly readIdentity: (seq: number) => Promise<Identity | undefined>;
  /** `passed` has moved, or a verdict above it is known. */
  readonly onPassed: () => void;
  /** A position could not be read: verdicts stand still until all open ones are noted again. */
  readonly onUnread: () => void;
}

const askedMax = 256; // originals read at once: the server drops what waits in too large a crowd

/** A position whose verdict is open, or waits behind one. */
interface Question {
  readonly seq: number;
  readonly identity: Identity | undefined;
  readonly hash: Hash64 | undefined;
  /** Where the identity seems to stand already; 0 where there is nothing to ask. */
  first: number;
  answer: "open" | "repeat" | "new";
}

export function createVerdicts(parts: VerdictParts): Verdicts {
  const window = createWindow(parts.countMax);
  const repeats = new Map<number, number>(); // in stream order
  const open = createQueue<Question>(); // in stream order
  const unasked = createQueue<Question>();
  const undecided = new Set<number>(); // sequences of open questions
  const bearers = new Map<number, number>(); // how many open questions have a hash with this `lo`
  const reads = new Map<number, Promise<Identity | undefined>>(); // under way: repeats come in crowds
  let noted = 0;
  let passed = 0;
  let asked = 0;
  let life = 0; // answers to what was dropped are dropped

  function note(seq: number, identity: Identity | undefined): void {
    const key = identity === undefined ? undefined : parts.hash(identity.source, identity.id);
    const first = key === undefined ? 0 : window.find(key);
    noted = seq;
    if (open.size === 0 && first === 0) {
      if (key !== undefined) window.add(key, seq);
      passed = seq;
      parts.onPassed();
      return;
    }
    const answer = first === 0 ? "new" : "open";
    const question: Question = { seq, identity, hash: key, first, answer };
    open.push(question);
    if (key !== undefined) {
      const before = bearers.get(key.lo) ?? 0;
      bearers.set(key.lo, before + 1);
      if (first !== 0 || before > 0) undecided.add(seq);
    }
    if (answer === "new") {
      parts.onPassed();
      return;
    }
    unasked.push(question);
    ask();
  }

  function ask(): void {
    const mine = life;
    while (asked < askedMax) {
      const question = unasked.shift();
      if (question === undefined) return;
      asked++;
      isRepeat(question).then(
        (repeat) => {
          if (mine !== life) return;
          asked--;
          question.answer = repeat ? "repeat" : "new";
          settle();
          ask();
        },
        () => {
          if (mine === life) parts.onUnread();
        },
      );
    }
  }

  async function isRepeat({ identity, first }: Question): Promise<boolean> {
    const original = await read(first);
    if (original === undefined || identity === undefined) return false; // cut: nobody can tell, so it is handled
    return sameIdentity(original, identity);
  }

  function read(seq: number): Promise<Identity | undefined> {
    const known = reads.get(seq);
    if (known !== undefined) return known;
    const reading = parts.readIdentity(seq);
    reads.set(seq, reading);
    const over = () => {
      if (reads.get(seq) === reading) reads.delete(seq);
    };
    reading.then(over, over);
    return reading;
  }

  function settle(): void {
    for (let next = open.peek(); next !== undefined; next = open.peek()) {
      if (next.answer === "open" || isOvertaken(next)) return;
      if (next.answer === "repeat") repeats.set(next.seq, next.first);
      else if (next.hash !== undefined) window.add(next.hash, next.seq);
      open.shift();
      undecided.delete(next.seq);
      if (next.hash !== undefined) unbear(next.hash);
      passed = next.seq;
      parts.onPassed();
    }
  }

  function unbear({ lo }: Hash64): void {
    const left = (bearers.get(lo) ?? 0) - 1;
    if (left > 0) bearers.set(lo, left);
    else bearers.delete(lo);
  }

  // What was settled since it was noted has the same hash: that one is to be compared, or a repeat would be missed.
  function isOvertaken(question: Question): boolean {
    if (question.answer === "repeat" || question.hash === undefined) return false;
    const now = window.find(question.hash);
    if (now === question.first || now === 0) return false;
    question.first = now;
    question.answer = "open";
    unasked.push(question);
    return true;
  }

  return {
    note,
    knows: (seq) => seq <= noted && (undecided.size === 0 || !undecided.has(seq)),
    repeatOf: (seq) => (repeats.size === 0 ? 0 : (repeats.get(seq) ?? 0)),
    expect: window.expect,
    restore(block, inWindow) {
      if (inWindow) window.addBlock(block, passed);
      for (const [repeat, first] of block.repeats) if (repeat > passed) repeats.set(repeat, first);
      passed = Math.max(passed, block.to);
      noted = passed;
    },
    slice: (from, to) => ({
      ...window.slice(from, to),
      repeats: [...repeats].filter(([seq]) => seq >= from && seq <= to),
    }),
    cutBelow(seq) {
      window.forgetBelow(seq);
      for (const repeat of repeats.keys()) {
        if (repeat >= seq) break;
        repeats.delete(repeat);
      }
    },
    forgetBelow: (seq) => window.forgetBelow(seq),
    drop() {
      life++;
      open.clear();
      unasked.clear();
      undecided.clear();
      bearers.clear();
      reads.clear();
      noted = passed;
      asked = 0;
    },
    get passed() {
      return passed;
    },
    get size() {
      return window.size;
    },
    get bytes() {
      return window.bytes;
    },
    get left() {
      return window.left;
    },
  };
}
