// What an emitted event becomes in the batch. Pure.
import { Permanent } from "../authoring/index.ts";
import type { BatchMessage } from "../broker/index.ts";
import { type CloudEvent, EddyError, encodeMessage, eventSubject, keyOf } from "../events/index.ts";

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

/** Throws Permanent for an effect that the server does not take. */
export function checkEffectSize(effect: BatchMessage, bytesMax: number, handler: string): void {
  const bytes = effect.headerLines.length + effect.data.byteLength + headroomBytes; // header lines are ASCII
  if (bytes <= bytesMax) return;
  const message = `${handler} emitted ${effect.natsSubject} with ${bytes} bytes; the server takes ${bytesMax}`;
  throw new Permanent(message, { cause: new EddyError("EDDY_EFFECT_TOO_LARGE", message) });
}
