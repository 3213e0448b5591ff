// The held keys of one handler in memory: a small state for each, however much is parked behind it.
// T1 A key that is not in the table is free, and nothing is parked of it.
import type { Position, Token } from "../../events/index.ts";
import type { Held } from "./states.ts";

export interface HeldKey {
  readonly key: string;
  readonly held: Held;
  /** Something may be parked behind it; false is certain. */
  readonly parked: boolean;
  readonly sinceMs: number;
  /** No record that it needs stands below this sequence of the home stream. */
  readonly fromSeq: number;
}

export interface HeldTable {
  get(lane: Token): HeldKey | undefined;
  set(lane: Token, next: HeldKey): void;
  forget(lane: Token): void;
  /** The lane that an event holds. */
  heldBy(position: Position): Token | undefined;
  /** Parked events that run, until what became of them is stored, by their sequence. */
  readonly running: Map<number, Token>;
  /** Lanes in which something was parked since their drain has listed what there is, and its lowest sequence. */
  readonly arrived: Map<Token, number>;
  readonly size: number;
  entries(): Iterable<[Token, HeldKey]>;
}

export function createTable(loaded: ReadonlyMap<Token, HeldKey>): HeldTable {
  const keys = new Map<Token, HeldKey>();
  const holders = new Map<number, Token>(); // by sequence: a handler reads one stream
  const holderOf = (lane: Token) => {
    const held = keys.get(lane)?.held;
    return held !== undefined && "by" in held ? held.by.position.seq : undefined;
  };
  const unhold = (lane: Token) => {
    const seq = holderOf(lane);
    if (seq !== undefined) holders.delete(seq);
  };
  const set = (lane: Token, next: HeldKey) => {
    unhold(lane);
    keys.set(lane, next);
    const seq = holderOf(lane);
    if (seq !== undefined) holders.set(seq, lane);
  };
  const arrived = new Map<Token, number>();
  for (const [lane, key] of loaded) set(lane, key);
  return {
    get: (lane) => keys.get(lane),
    set,
    forget(lane) {
      unhold(lane);
      keys.delete(lane);
      arrived.delete(lane);
    },
    heldBy: ({ seq }) => holders.get(seq),
    running: new Map(),
    arrived,
    get size() {
      return keys.size;
    },
    entries: () => keys.entries(),
  };
}
