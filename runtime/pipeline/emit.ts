// The event that a handler emits: its attributes follow from handler, cause and place among the effects, so that a
// second run of the same attempt makes the same events. Pure.
import { hash } from "node:crypto";
import { type EmitOptions, type EventType, entityKeyOf } from "../authoring/index.ts";
import type { AttributeValue, CloudEvent, Position } from "../events/index.ts";

export interface Cause {
  readonly handler: { readonly name: string };
  readonly event: CloudEvent;
  readonly position: Position;
}

/** Makes the event. Extensions `causationid` and `correlationid` tie the chain together. */
export function emittedEvent(
  cause: Cause,
  source: string,
  type: EventType,
  data: unknown,
  options: EmitOptions,
  place: number,
): CloudEvent {
  const { event } = cause;
  const subject = options.subject ?? event.subject;
  // Without subject and partition key the cause's key is its id: what follows from it stays in its lane.
  const inherited = event.extensions.partitionkey ?? (subject === undefined ? event.id : undefined);
  const key = options.key ?? entityKeyOf(type, data) ?? inherited;
  const extensions: Record<string, AttributeValue> = {
    ...options.extensions,
    causationid: event.id,
    correlationid: event.extensions.correlationid ?? event.id,
    ...(key === undefined ? {} : { partitionkey: key }),
  };
  return {
    specversion: "1.0",
    id: emittedId(cause, place),
    source,
    type: type.type,
    ...(subject === undefined ? {} : { subject }),
    time: timeNow(),
    datacontenttype: options.datacontenttype ?? "application/json",
    extensions,
    data,
  };
}

let lastMs = 0;
let lastTime = "";

// Under load thousands are emitted in one millisecond.
function timeNow(): string {
  const now = Date.now();
  if (now !== lastMs) {
    lastMs = now;
    lastTime = new Date(now).toISOString();
  }
  return lastTime;
}

function emittedId(cause: Cause, place: number): string {
  return `${effectRoot(cause)}-${place}`;
}

/** What the ids of all effects of a handled event begin with: it tells the event that they follow from. */
export function effectRoot(cause: {
  readonly handler: { readonly name: string };
  readonly position: Position;
  readonly event: { readonly source: string; readonly id: string };
}): string {
  const { stream, seq } = cause.position;
  const name = JSON.stringify([
    cause.handler.name,
    stream,
    seq,
    cause.event.source,
    cause.event.id,
  ]);
  return hash("sha256", name, "base64url").slice(0, 24);
}
