// Errors that a handler throws to say how its event should go on.
import type { Duration } from "./duration.ts";
import { parseDuration } from "./duration.ts";

/** Retrying cannot help: the event goes to the dead letters at once. */
export class Permanent extends Error {
  override readonly name = "Permanent";
}

/** Try again, but not before `delay` has passed or `at` has come. It still uses up an attempt. */
export class RetryAfter extends Error {
  override readonly name = "RetryAfter";
  readonly at: Date;

  constructor(
    delay: Duration | Date,
    message = "the handler asked for a later attempt",
    options?: ErrorOptions,
  ) {
    super(message, options);
    const ms =
      delay instanceof Date ? delay.getTime() : Date.now() + (parseDuration(delay) ?? Number.NaN);
    if (Number.isNaN(ms))
      throw new RangeError(`RetryAfter: not a duration or date: ${String(delay)}`);
    this.at = new Date(ms);
  }
}
