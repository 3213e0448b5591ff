// What becomes of an event for a handler. Exactly one outcome each; a verdict may also be to try again.
import type { Fault } from "../events/index.ts";
import type { ExpiryPolicy } from "./expiry.ts";

/** Why an event is dead: a stable word, shown by `eddy dead list`. */
export type DeadReason =
  | "attempts" // ran out of attempts
  | "permanent" // the handler threw Permanent, or asked for something it may never have
  | "undecodable" // the message is no CloudEvent
  | "schema" // data breaks the contract of its type
  | "crash" // the process ended again and again while it ran
  | "refused" // an effect that the server cannot store
  | "uncertain"; // waited longer than the home stream's retention: whether it was done cannot be told

/** Why an event has a letter: it is dead, or its handler keeps what has expired. */
export type LetterReason = DeadReason | "expired";

export type Outcome =
  | { readonly kind: "handled"; readonly effects: number }
  | { readonly kind: "duplicate"; readonly firstSeq: number }
  | { readonly kind: "filtered" }
  | {
      readonly kind: "expired";
      readonly policy: ExpiryPolicy;
      readonly kept: boolean;
      readonly cause: unknown;
    }
  | { readonly kind: "dead"; readonly reason: DeadReason; readonly cause: unknown };

export type Verdict =
  | Outcome
  /** Without a cause it is postponed: nothing has failed, and no attempt is lost. */
  | { readonly kind: "retry"; readonly due: Date; readonly cause: unknown };

/** A fault as something that can be thrown and shown like any other error. */
export type { Fault };
