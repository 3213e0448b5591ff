// When the next attempt is due, and storing it on its backoff subject as a message schedule (ADR-51).
// S1 One schedule a subject, and a subject for each attempt: storing the same attempt again replaces it, but what a
// zombie stores of an earlier one leaves the later one alone.

import { RetryAfter } from "../../authoring/index.ts";
import type { Broker } from "../../broker/index.ts";
import { retryStream } from "../../broker/index.ts";
import { natsSubject, token } from "../../events/index.ts";
import type { Parcel } from "./parcel.ts";
import { storeParcel } from "./store.ts";

export interface Backoff {
  /** Waits in ms: one more attempt than there are delays. */
  readonly delaysMs: readonly number[];
  /** Part of a delay by which it varies either way, 0 to 1. */
  readonly jitter: number;
}

/** A schedule has to have a date that the server can read; nobody waits for longer. */
const delayMsMax = 365 * 86_400_000;

/** When the attempt after a failed one is due; undefined where no attempt is left. */
export function nextDue(
  backoff: Backoff,
  failedAttempt: number,
  cause: unknown,
  nowMs: number,
  random: number,
): Date | undefined {
  const delayMs = backoff.delaysMs[failedAttempt - 1];
  if (delayMs === undefined) return undefined;
  const jitterMs = delayMs * backoff.jitter * (2 * random - 1);
  const atMs = cause instanceof RetryAfter ? cause.at.getTime() : nowMs + delayMs + jitterMs;
  return new Date(Math.min(Math.max(nowMs, atMs || 0), nowMs + delayMsMax));
}

/** Where a schedule stands, and below it what is too large for the parcel; of a letter given back only the latter. */
export function retrySubject(app: string, parcel: Parcel): string {
  const { stream, seq } = parcel.original.position;
  const run = parcel.letter === undefined ? `${parcel.next}` : `letter-${parcel.letter}`;
  return `${natsSubject("retry", token(app), token(parcel.handler), token(stream))}.${seq}.${run}`;
}

export function dueSubject(app: string, handler: string): string {
  return natsSubject("due", token(app), token(handler));
}

/** Stores the next attempt; resolves once it is stored. */
export async function scheduleRetry(broker: Broker, parcel: Parcel, due: Date): Promise<void> {
  const lines = `Nats-Schedule: @at ${due.toISOString()}\r\nNats-Schedule-Target: ${dueSubject(broker.app, parcel.handler)}\r\n`;
  await storeParcel(broker, retryStream, retrySubject(broker.app, parcel), parcel, lines);
}

/** Gives an event back to its handler at once. */
export async function giveBack(broker: Broker, parcel: Parcel): Promise<void> {
  const aside = retrySubject(broker.app, parcel);
  await storeParcel(broker, retryStream, dueSubject(broker.app, parcel.handler), parcel, "", aside);
}
