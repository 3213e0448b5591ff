// What a handler's read asks for, and what it is answered. Types only: the reads themselves are handed in by the host.
import type { Local } from "../authoring/index.ts";
import type { Position } from "../events/index.ts";

/** Reads an entry of any projection, for `ctx.get` and `ctx.read`. */
export type ReadEntry = (asked: Asked) => Promise<Found>;

export interface Asked {
  readonly projection: string;
  readonly key: string;
  /** What this process keeps of the projection. */
  readonly local?: Local | undefined;
  /** First wait until the projection has passed a position. */
  readonly wait?: ReadWait | undefined;
  /** Position and age are asked for, too. */
  readonly told?: boolean | undefined;
}

export interface ReadWait {
  readonly after: Position;
  /** How long at most. */
  readonly waitMs: number;
}

export interface Found {
  readonly value: unknown;
  /** What the value reflects at least; undefined where it was not asked for, or nobody can tell. */
  readonly position?: Position | undefined;
  readonly ageMs?: number | undefined;
}
