// Whether an event that comes back may run again. Its standing alone decides, so nothing runs twice or is lost. Pure.
import type { Parcel } from "./parcel.ts";
import type { Standing } from "./standing.ts";

/** What to do with an event that comes back. */
export type Judgement = "run" | "stale" | "later" | "uncertain";

export interface Return {
  readonly parcel: Pick<Parcel, "next" | "letter" | "packedMs">;
  readonly standing: Standing | undefined;
  /** The letter that was given back is still there. */
  readonly letterThere: boolean;
  /** The origin's position was completed before the standing was read. */
  readonly passed: boolean;
  /** The log still has the origin, and so any standing that was ever stored after it. */
  readonly originThere: boolean;
  readonly nowMs: number;
  readonly retentionMs: number;
}

export function judge(o: Return): Judgement {
  const { parcel, standing } = o;
  if (parcel.letter !== undefined && !o.letterThere) return "stale";
  if (standing !== undefined) {
    if (parcel.letter !== undefined) return standing.kind === "dead" ? "run" : "stale";
    // Its first attempt failed just now, or in the moment before a crash; what comes of that is not stored yet.
    if (standing.kind === "parked") return "later";
    return standing.kind === "waiting" && standing.attempt === parcel.next ? "run" : "stale";
  }
  if (!o.passed) return "later"; // its first attempt is still under way, here or after a crash
  // A letter outlives its standing. But where that cannot be cut yet, a crash left the letter and the event was handled.
  if (parcel.letter !== undefined) return o.originThere ? "stale" : "run";
  return o.nowMs - parcel.packedMs < o.retentionMs ? "stale" : "uncertain";
}
