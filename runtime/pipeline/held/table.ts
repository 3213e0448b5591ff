// The held keys of one handler in memory: a small state for each, however much is parked behind it.
// T1 A key that is not in the table is free, and nothing is parked of it.
import { type Position, positionText, type Token } from "../../events/index.ts";
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
  /** The lane in which a parked event runs, until what became of it is stored. */
  runsIn(position: Position): Token | undefined;
  begin(position: Position, lane: Token): void;
  over(position: Position): void;
  /** Lanes in which something was parked since their drain has listed what there is, and its lowest sequence of
   * whatever stream: what is listed is in the order of sequences. */
  readonly arrived: Map<Token, number>;
  readonly size: number;
  entries(): Iterable<[Token, HeldKey]>;
}

export function createTable(loaded: ReadonlyMap<Token, HeldKey>): HeldTable {
  const keys = new Map<Token, HeldKey>();
  const holders = new Map<string, Token>();
  const running = new Map<string, Token>();
  const holderOf = (lane: Token) => {
    const held = keys.get(lane)?.held;
    return held !== undefined && "by" in held ? positionText(held.by.position) : undefined;
  };
  const unhold = (lane: Token) => {
    const position = holderOf(lane);
    if (position !== undefined) holders.delete(position);
  };
  const set = (lane: Token, next: HeldKey) => {
    unhold(lane);
    keys.set(lane, next);
    const position = holderOf(lane);
    if (position !== undefined) holders.set(position, lane);
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
    heldBy: (position) => holders.get(positionText(position)),
    runsIn: (position) => running.get(positionText(position)),
    begin: (position, lane) => running.set(positionText(position), lane),
    over: (position) => running.delete(positionText(position)),
    arrived,
    get size() {
      return keys.size;
    },
    entries: () => keys.entries(),
  };
}
