// The standings of one handler's events as they are now: which wait, which are dead, which were discarded. Pure.
// Holds what is open only, so as much as waits or lies in the dead letters.
import type { Standing } from "../retry/standing.ts";

export interface Standings {
  /** The latest standing of a position. */
  set(seq: number, standing: Standing): void;
  /** The attempt that each waits for, by position; `parkedAttempt` where it lies behind the event that holds its key. */
  readonly waiting: ReadonlyMap<number, number>;
  readonly dead: ReadonlySet<number>;
  readonly discarded: ReadonlySet<number>;
}

/** No attempt has this number: what is parked waits for another event. */
export const parkedAttempt = 0;

/** The attempt that an event of this standing waits for; undefined where it waits for none. */
export function awaited(standing: Standing): number | undefined {
  if (standing.kind === "waiting") return standing.attempt;
  return standing.kind === "parked" ? parkedAttempt : undefined;
}

export function createStandings(): Standings {
  const waiting = new Map<number, number>();
  const dead = new Set<number>();
  const discarded = new Set<number>();
  return {
    set(seq, standing) {
      waiting.delete(seq);
      dead.delete(seq);
      discarded.delete(seq);
      const attempt = awaited(standing);
      if (attempt !== undefined) waiting.set(seq, attempt);
      else if (standing.kind === "dead") dead.add(seq);
      else if (standing.kind === "discarded") discarded.add(seq);
    },
    waiting,
    dead,
    discarded,
  };
}
