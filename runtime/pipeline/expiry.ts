// Whether an event is too old to run: by its handler's `maxAge`, or by its own extension `expirytime`. Pure.
// E1 What cannot be read as a time expires nothing. E2 A clock that is ahead makes no event younger than its storage.
import type { Handler } from "../authoring/index.ts";
import { type CloudEvent, type EddyError, inputError, isRfc3339, nameOf } from "../events/index.ts";

/** What says that an event is too old. */
export type ExpiryPolicy = "maxAge" | "expirytime";

/** The policy that an event is too old for; undefined where it may run. */
export function expiryOf(
  event: CloudEvent,
  storedMs: number,
  maxAgeMs: number | undefined,
  nowMs: number,
): ExpiryPolicy | undefined {
  const { expirytime } = event.extensions;
  if (expirytime !== undefined && nowMs > timeMs(expirytime, Number.POSITIVE_INFINITY))
    return "expirytime";
  if (maxAgeMs === undefined) return undefined;
  const bornMs = Math.min(timeMs(event.time, storedMs), storedMs);
  return nowMs - bornMs > maxAgeMs ? "maxAge" : undefined;
}

function timeMs(value: unknown, otherwise: number): number {
  return typeof value === "string" && isRfc3339(value) ? Date.parse(value) : otherwise;
}

/** Why the event has expired, for the log and for the letter of a handler that keeps it. */
export function expiredError(
  { name, declaration: { options } }: Handler,
  event: CloudEvent,
  policy: ExpiryPolicy,
): EddyError {
  const limit =
    policy === "maxAge"
      ? `is older than its maxAge of ${String(options.maxAge)}`
      : `has passed its expirytime ${String(event.extensions.expirytime)}`;
  const text = `${nameOf(event)} ${limit}: ${name} did not run`;
  return inputError("EDDY_EVENT_EXPIRED", text, { policy });
}
