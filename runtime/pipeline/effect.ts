// What an emitted event becomes in the batch. Pure.
import type { BatchMessage } from "../broker/index.ts";
import { type CloudEvent, encodeMessage, eventSubject, keyOf } from "../events/index.ts";

export function effectOf(event: CloudEvent): BatchMessage {
  const { headerLines, data } = encodeMessage(event);
  return {
    natsSubject: eventSubject(event.type, keyOf(event)),
    headerLines,
    data,
    identity: event,
  };
}

const headroomBytes = 512; // batch and fence headers, and the protocol's own

/** What the server counts against its limit on a message. */
export function effectBytes({ headerLines, data }: BatchMessage): number {
  return headerLines.length + data.byteLength + headroomBytes; // header lines are ASCII
}
