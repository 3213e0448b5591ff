// What a handler of a declaration makes of a message of the log before it would run: the same steps in the same order as in
// a session. Pure.
import type { Handler } from "../../authoring/index.ts";
import type { Delivery } from "../../broker/index.ts";
import {
  type CloudEvent,
  decodeStored,
  type EddyError,
  type Position,
} from "../../events/index.ts";
import { contractError, faultError, isLeftOut, subjectError, wantedSubjects } from "../contract.ts";
import type { DeadReason } from "../outcome.ts";

/** What is looked at of a stored message. */
export type Logged = Pick<Delivery, "natsSubject" | "seq" | "storedMs" | "raw" | "headerLength">;

/** A message that is for the handler by its subject. */
export type Sighting = { readonly position: Position; readonly storedMs: number } & (
  | { readonly kind: "event"; readonly event: CloudEvent }
  | { readonly kind: "duplicate"; readonly event: CloudEvent; readonly firstSeq: number }
  | { readonly kind: "filtered"; readonly event: CloudEvent }
  /** Without an event where the message is none. */
  | {
      readonly kind: "dead";
      readonly reason: DeadReason;
      readonly cause: EddyError;
      readonly event?: CloudEvent;
    }
);

/** Looks at messages of a stream for one handler; undefined for what is none of its. */
export function createSight(
  handler: Handler,
  stream: string,
  repeatOf: (seq: number) => number,
): (delivery: Logged) => Sighting | undefined {
  const { types } = wantedSubjects(handler);

  return (delivery) => {
    const { natsSubject, seq, storedMs, raw, headerLength } = delivery;
    const type = types.get(natsSubject.slice(0, natsSubject.lastIndexOf(".")));
    if (type === undefined) return undefined;
    const position = { stream, seq };
    const at = { position, storedMs };
    const decoded = decodeStored(raw, headerLength);
    if (!decoded.ok) {
      const cause = faultError(decoded.fault, { position, natsSubject });
      return { ...at, kind: "dead", reason: "undecodable", cause };
    }
    const event = Object.freeze(decoded.event);
    const firstSeq = repeatOf(seq);
    if (firstSeq !== 0) return { ...at, kind: "duplicate", event, firstSeq };
    if (event.type !== type) {
      const cause = subjectError(event, natsSubject, type);
      return { ...at, kind: "dead", reason: "undecodable", cause, event };
    }
    return { ...at, ...lookAt(handler, event) };
  };
}

/** What the data of an event makes of it. Of data that is outside nothing is known yet. */
export function lookAt(handler: Handler, event: CloudEvent) {
  if (isLeftOut(handler, event)) return { kind: "filtered", event } as const;
  const cause = contractError(handler, event);
  if (cause !== undefined) return { kind: "dead", reason: "schema", cause, event } as const;
  return { kind: "event", event } as const;
}
