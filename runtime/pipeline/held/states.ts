// What holds a key of an ordered handler, and what each verdict makes of it. Pure.
// H1 One event holds a key at a time. H2 An event that others of its key have passed never holds it: one that an
// operator let go, or whose letter is given back later. H3 A key that goes on runs what was parked, in stream order,
// before anything newer.
import type { HandlerOptions, OnDead } from "../../authoring/index.ts";
import type { Position } from "../../events/index.ts";

/** The event that holds a key. */
export interface Holder {
  readonly position: Position;
  readonly source: string;
  readonly id: string;
}

/** A key that is not held has none. */
export type Held =
  /** Its event waits for this attempt. */
  | {
      readonly kind: "waiting";
      readonly by: Holder;
      readonly attempt: number;
      readonly dueMs: number;
    }
  /** Its event is dead, and an operator decides. */
  | { readonly kind: "dead"; readonly by: Holder }
  /** What was parked runs; what comes meanwhile is parked behind it. */
  | { readonly kind: "draining" };

/** What a handler asks for. One that is not ordered any more may have left keys held: they only go on. */
export type Policy = OnDead | "unordered";

/** What the event that has a verdict is to its key. */
export type Role =
  /** It came from the stream, and nothing holds the key. */
  | "first"
  | "holder"
  /** It was parked, and the key is draining. */
  | "follower"
  | "passed";

/** A verdict as far as a key is concerned. */
export type Ended =
  | { readonly kind: "retry"; readonly attempt: number; readonly dueMs: number }
  | { readonly kind: "dead" }
  | { readonly kind: "over" };

/** What becomes of the key: held, gone on, or as it was. */
export type Change = Held | { readonly kind: "goes on" } | { readonly kind: "as it was" };

export function policyOf({ ordered, onDead }: Pick<HandlerOptions, "ordered" | "onDead">): Policy {
  return ordered === true ? (onDead ?? "continue") : "unordered";
}

export function afterVerdict(role: Role, ended: Ended, by: Holder, policy: Policy): Change {
  if (role === "passed") return { kind: "as it was" }; // H2
  if (ended.kind === "retry" && policy !== "unordered") return { ...ended, kind: "waiting", by };
  if (ended.kind === "dead" && policy === "hold") return { kind: "dead", by };
  return role === "holder" ? { kind: "goes on" } : { kind: "as it was" };
}

/** Where the position of a held key's event has moved on without its record: a crash, or a hand in the streams. */
export function mended(
  held: Held,
  standing: { readonly kind: "waiting" | "parked" | "dead" | "discarded" | "done" } | undefined,
  policy: Policy,
): Held {
  if (policy === "unordered") return { kind: "draining" };
  if (held.kind === "draining" || standing === undefined) return held;
  if (standing.kind === "done" || standing.kind === "discarded") return { kind: "draining" };
  if (held.kind === "waiting" && standing.kind === "dead") {
    return policy === "hold" ? { kind: "dead", by: held.by } : { kind: "draining" };
  }
  return held;
}

export type ParkedJudgement = "run" | "stale" | "unsettled" | "uncertain";

/** Whether a parked event may run. Its standing alone decides, as with retries. */
export function judgeParked(o: {
  readonly standing: { readonly kind: string } | undefined;
  /** Its position was completed and stored before the standing was read. */
  readonly passed: boolean;
  readonly packedMs: number;
  readonly nowMs: number;
  readonly retentionMs: number;
}): ParkedJudgement {
  if (o.standing !== undefined) return o.standing.kind === "parked" ? "run" : "stale";
  if (!o.passed) return "unsettled"; // its parking is being stored, or never was: then it comes again by itself
  return o.nowMs - o.packedMs < o.retentionMs ? "stale" : "uncertain";
}
