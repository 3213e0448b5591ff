// What ingress makes of an event that is too large for a message: its data becomes an object, within a bound. Pure.
import { type Claim, type CloudEvent, type EncodedMessage, takeOut } from "../events/index.ts";
import { tooLarge } from "./ingress-refusal.ts";
import type { Objects } from "./objects.ts";

/** Undefined where it cannot be taken out, as where the message is large without its data. */
export function claimFor(
  event: CloudEvent,
  message: EncodedMessage,
  sizeBytes: number,
  objects: Pick<Objects, "bucket" | "bytesMax"> | undefined,
): Claim | undefined {
  const claim = objects && takeOut(message, event, objects.bucket);
  if (objects !== undefined && claim !== undefined && claim.data.byteLength > objects.bytesMax) {
    throw tooLarge(event, sizeBytes, `data may have ${objects.bytesMax} bytes (objects.maxBytes)`);
  }
  return claim;
}
