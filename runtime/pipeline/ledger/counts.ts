// A handler's cumulative counts: part of its ledger record, so exact and as durable as what they count. Pure.
// C1 delivered = handled + duplicate + filtered + expired + retrying + dead: every event that left the stream has one
// place.

export interface Counts {
  delivered: number;
  handled: number;
  duplicate: number;
  /** Left out by the handler's `where`. */
  filtered: number;
  expired: number;
  /** Events that wait for a retry now; the others only grow, except that a replay takes from dead or expired. */
  retrying: number;
  dead: number;
}

/** Where an event stands in the counts; `new` is one that was not counted yet. */
export type Standing =
  | "new"
  | "retrying"
  | "dead"
  | "handled"
  | "duplicate"
  | "filtered"
  | "expired";

/** An event's move from one standing to another; null where a position passes that was no event of the handler. */
export interface Move {
  readonly from: Standing;
  readonly to: Exclude<Standing, "new">;
}

export function noCounts(): Counts {
  return { delivered: 0, handled: 0, duplicate: 0, filtered: 0, expired: 0, retrying: 0, dead: 0 };
}

/** Counts a move; `sign` -1 takes it back. */
export function count(counts: Counts, move: Move, sign: 1 | -1): void {
  if (move.from === "new") counts.delivered += sign;
  else counts[move.from] -= sign;
  counts[move.to] += sign;
}
