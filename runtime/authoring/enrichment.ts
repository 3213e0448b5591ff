// How the source of an enrichment is asked: as data, with its defaults and its check at declaration. Pure.
import { fieldIn } from "./carries.ts";
import { nonsense } from "./declaration.ts";
import { type Duration, parseDuration } from "./duration.ts";
import type { EventType } from "./event-type.ts";
import { fieldsOf } from "./fields.ts";

/** How a source is asked. Plain data: it also holds where the function runs in another thread. */
export interface Enrichment {
  /** The field of the thin event's data that names what is asked for; without it the event's ordering key does. */
  readonly key?: string;
  readonly shareMs: number;
  readonly concurrency: number;
  readonly rate?: { readonly limit: number; readonly perMs: number };
}

const defaults = { share: "1s", concurrency: 8 } as const;
const most = { shareMs: 3_600_000, concurrency: 256, limit: 10_000, perMs: 3_600_000 };

/** What is asked for, where the data names it; undefined where the ordering key does. */
export function askedFor({ key }: Enrichment, data: unknown): string | undefined {
  const value = key === undefined ? undefined : fieldIn(data, key);
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}

/** As an author writes it. */
interface Given {
  readonly key?: string | undefined;
  readonly share?: Duration | undefined;
  readonly concurrency?: number | undefined;
  readonly rate?: { readonly limit: number; readonly per: Duration } | undefined;
}

/** @throws EddyError `EDDY_DECLARATION` for what cannot mean anything. */
export function enrichmentOf(
  what: string,
  from: readonly EventType[],
  to: EventType,
  { key, share = defaults.share, concurrency = defaults.concurrency, rate }: Given,
): Enrichment {
  const shareMs = parseDuration(share);
  if (shareMs === undefined || shareMs > most.shareMs)
    throw nonsense(
      `${what}: share must be a duration of up to 1h such as "5s", got ${String(share)}`,
    );
  checkCount(`${what}: concurrency`, concurrency, most.concurrency);
  const has = (type: EventType, field: string) => fieldsOf(type.schema)?.has(field) ?? true;
  if (key !== undefined) {
    const without = typeof key === "string" ? from.find((type) => !has(type, key)) : from[0];
    if (without !== undefined)
      throw nonsense(
        `${what}: key must name a field of data, got ${JSON.stringify(key)}; ${without.type} has none of that name`,
      );
  }
  const named = key ?? sameField(from, to);
  return {
    ...(named === undefined ? {} : { key: named }),
    shareMs,
    concurrency,
    ...(rate === undefined ? {} : { rate: rateOf(what, rate) }),
  };
}

/** The field that is the full event's key, where all thin events have it. */
function sameField(from: readonly EventType[], { options }: EventType): string | undefined {
  if (options.carries !== "state" || options.key === undefined) return undefined;
  const { key } = options;
  return from.every(({ schema }) => fieldsOf(schema)?.has(key)) ? key : undefined;
}

function rateOf(what: string, rate: NonNullable<Given["rate"]>) {
  if (rate === null || typeof rate !== "object")
    throw nonsense(`${what}: rate must be an object such as { limit: 50, per: "1s" }`);
  checkCount(`${what}: rate.limit`, rate.limit, most.limit);
  const perMs = parseDuration(rate.per);
  if (perMs === undefined || perMs <= 0 || perMs > most.perMs) {
    const got = String(rate.per);
    throw nonsense(`${what}: rate.per must be a duration of up to 1h such as "1s", got ${got}`);
  }
  return { limit: rate.limit, perMs };
}

function checkCount(what: string, count: number, max: number): void {
  if (Number.isInteger(count) && count >= 1 && count <= max) return;
  throw nonsense(`${what} must be a whole number from 1 to ${max}, got ${String(count)}`);
}
