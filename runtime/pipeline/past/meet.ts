// The events of a projection in a range of the log, each under the key of its entry.
// M1 Code of the author never sees an event that is dead or was discarded, nor a repeat of one: it may have ended the
// process before. M2 Between two slices everything else of the process has its turn.
import type { Handler } from "../../authoring/index.ts";
import { type Broker, type Delivery, readRange } from "../../broker/index.ts";
import { EddyError, isAway, keyOf } from "../../events/index.ts";
import { fetchAside } from "../away/fetch.ts";
import { filterOf } from "../consume.ts";
import { FirstJob } from "../first-job.ts";
import { createSight, lookAt, type Sighting } from "../log/sight.ts";
import type { Aside } from "./aside.ts";
import { type Functions, functionsOf, type PastJob, type Runs } from "./functions.ts";

export interface PastParts {
  readonly broker: Broker;
  readonly handler: Handler;
  readonly runs: Runs;
  readonly aside: Aside;
  readonly repeatOf: (seq: number) => number;
  readonly signal: AbortSignal;
}

export interface PastRange {
  readonly from: number;
  /** Inclusive. */
  readonly to: number;
}

/** An event at its place, and what the projection makes of it before it would fold it. */
export interface Met {
  readonly job: PastJob;
  readonly sighting: Sighting;
  /** Of its entry; where nobody can tell it, the event's own ordering key. */
  readonly key: string;
  /** What `key` threw. */
  readonly keyless?: unknown;
}

type Seen = Pick<Met, "job" | "sighting">;
type Keyed = { readonly key: string } | { readonly keyless: unknown };

const sliceMax = 200; // a few milliseconds

/** In slices, in stream order. Ends early with the signal's reason. */
export async function* meetEvents(parts: PastParts, range: PastRange): AsyncGenerator<Met[]> {
  const { broker, handler, signal } = parts;
  if (range.from > range.to) return;
  const see = createSight(handler, broker.home, parts.repeatOf);
  const functions = functionsOf(broker, handler, parts.runs);
  const read = { stream: broker.home, filter: filterOf(handler), ...range };
  for await (const chunk of readRange(broker, read)) {
    for (let at = 0; at < chunk.length; at += sliceMax) {
      signal.throwIfAborted();
      yield* meetSlice(parts, functions, see, chunk.slice(at, at + sliceMax));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  signal.throwIfAborted();
}

async function* meetSlice(
  parts: PastParts,
  functions: Functions,
  see: (delivery: Delivery) => Sighting | undefined,
  slice: readonly Delivery[],
): AsyncGenerator<Met[]> {
  const { aside, broker, handler, signal } = parts;
  let seen: Seen[] = [];
  for (const delivery of slice) {
    const sighting = see(delivery);
    const event = sighting?.event;
    if (sighting === undefined || event === undefined) continue;
    const job = new FirstJob(handler, broker.home, delivery, 0, event, 0);
    const isOutside = sighting.kind === "event" && isAway(event);
    if (!isOutside || keyedBy(aside, sighting) !== undefined) {
      seen.push({ job, sighting });
      continue;
    }
    // Alone: any number of them may be in a slice, and each may be large.
    yield await keyAll(aside, functions, seen);
    seen = [];
    signal.throwIfAborted();
    yield await keyAll(aside, functions, [await withData(parts, { job, sighting })]);
  }
  yield await keyAll(aside, functions, seen);
}

async function withData({ broker, handler }: PastParts, { job, sighting }: Seen): Promise<Seen> {
  const { position, storedMs } = sighting;
  const at = { position, storedMs };
  try {
    const whole = Object.assign(await fetchAside(broker, job), { position, attempt: 1 });
    return { job: whole, sighting: { ...at, ...lookAt(handler, whole.event) } };
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof EddyError ? error.cause : error;
    if (!(cause instanceof EddyError) || cause.code === "EDDY_READ_FAILED") throw cause;
    return { job, sighting: { ...at, kind: "dead", reason: "attempts", cause, event: job.event } };
  }
}

async function keyAll(aside: Aside, functions: Functions, seen: readonly Seen[]): Promise<Met[]> {
  const met: Met[] = [];
  const asked: Promise<void>[] = [];
  for (const one of seen) {
    const keyed = keyedBy(aside, one.sighting) ?? askKey(functions, one.job);
    if (keyed instanceof Promise) {
      const at = met.push({ ...one, key: "" }) - 1;
      asked.push(keyed.then((later) => void met.splice(at, 1, metOf(one, later))));
    } else met.push(metOf(one, keyed));
  }
  await Promise.all(asked);
  return met;
}

function metOf({ job, sighting }: Seen, keyed: Keyed): Met {
  if ("key" in keyed) return { job, sighting, key: keyed.key };
  return { job, sighting, key: keyOf(job.event), keyless: keyed.keyless };
}

/** The key of what the author's code must not see; undefined for all else. */
function keyedBy({ standings, letters }: Aside, sighting: Sighting): Keyed | undefined {
  const firstSeq = sighting.kind === "duplicate" ? sighting.firstSeq : sighting.position.seq;
  const standing = standings.get(firstSeq);
  if (standing !== "dead" && standing !== "discarded") return undefined;
  const letter = letters.get(firstSeq);
  if (letter?.reason === "schema") return undefined; // it never ran: nothing is known of its key, and nothing to fear
  return letter?.key === undefined ? { keyless: undefined } : { key: letter.key };
}

function askKey(functions: Functions, job: PastJob) {
  const failed = (keyless: unknown): Keyed => ({ keyless });
  if (isAway(job.event)) return failed(undefined); // its data is not there, and the author's code needs it
  try {
    const key = functions.key(job);
    return key instanceof Promise ? key.then((key): Keyed => ({ key }), failed) : { key };
  } catch (error) {
    return failed(error);
  }
}
