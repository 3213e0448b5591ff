// The log as versions of a handler see it, read aside: no durable consumer, no ledger, nothing stored. For whoever folds or
// runs the past again: time travel, replay, and the check before a reload.
// L1 What it yields is what a version wants by its declaration, each with the verdict before its lane: in stream order, and
// between streams in the order of storing. L2 Data that is outside is put back, at most 16 MiB of it at once, or one larger.
// L3 Each version has events of its own: none sees what another one did to their data.
import { setTimeout as sleep } from "node:timers/promises";
import { type Handler, listOf, Permanent } from "../../authoring/index.ts";
import { type Broker, readMerged } from "../../broker/index.ts";
import {
  type CloudEvent,
  datarefOf,
  EddyError,
  isAway,
  narrowestFilter,
  type Position,
} from "../../events/index.ts";
import { fetchAside, fetchEvent } from "../away/fetch.ts";
import { inputsOf } from "../consume.ts";
import { FirstJob } from "../first-job.ts";
import type { EventJob } from "../scope.ts";
import type { RepeatsIn } from "./repeats-in.ts";
import { createSight, type Logged, lookAt, type Sighting } from "./sight.ts";

/** A stretch of one stream. */
export interface LogRange {
  readonly stream: string;
  readonly from: number;
  /** Inclusive. */
  readonly to: number;
}

/** An event at its place, with all its data where that was wanted and is there. */
export type SeenJob = Pick<EventJob, "handler" | "event" | "original" | "position" | "attempt">;

/** A message of the log, and what one version makes of it. */
export interface Seen {
  readonly sighting: Sighting;
  /** Undefined where the message is no event. */
  readonly job: SeenJob | undefined;
}

export interface Slice {
  /** What each version sees of it. */
  readonly seen: readonly (readonly Seen[])[];
  /** The last message of each stream that is in it. */
  readonly upTo: readonly Position[];
}

interface Looking {
  readonly broker: Broker;
  readonly versions: readonly Handler[];
  /** The process's own identity index, or `readRepeats`. */
  readonly repeatsIn: RepeatsIn;
  /** Whether an event whose data is outside is to have it. Default: each. */
  readonly wantsData?: (sighting: Sighting) => boolean;
}

export interface LogReading extends Looking {
  /** Most messages in a slice. */
  readonly sliceMax: number;
}

export interface LogMessage {
  readonly stream: string;
  readonly delivery: Logged;
}

/** A message as each version sees it by itself. */
interface Glance extends LogMessage {
  readonly sightings: readonly (Sighting | undefined)[];
}

const outsideBytesMax = 16 * 2 ** 20; // as much as a live handler has at once
const fetchesAtOnce = 4;
const sliceBytesMax = 4 * 2 ** 20;

/**
 * Reads stretches of streams, in slices that are made when they are asked for.
 * @throws EddyError `EDDY_READ_FAILED`
 */
export async function* readLog(
  reading: LogReading,
  ranges: readonly LogRange[],
): AsyncGenerator<Slice> {
  const filter = filterOfAll(reading.versions);
  const look = createLook(reading);
  const read = ranges.flatMap((range) => (range.from <= range.to ? [{ ...range, filter }] : []));
  let held: LogMessage[] = [];
  let bytes = 0;
  for await (const { stream, deliveries } of readMerged(reading.broker, read)) {
    for (const delivery of deliveries) {
      held.push({ stream, delivery });
      bytes += delivery.raw.byteLength;
      if (held.length < reading.sliceMax && bytes < sliceBytesMax) continue;
      yield* look(held);
      [held, bytes] = [[], 0];
    }
  }
  yield* look(held);
}

/** What any of these versions reads. */
export function filterOfAll(versions: readonly Handler[]): string {
  const types = versions.flatMap(({ declaration }) => listOf(declaration.from).map((t) => t.type));
  return narrowestFilter([...new Set(types)]);
}

/** The streams that any of these versions reads, the home stream first. */
export function inputsOfAll(versions: readonly Handler[], home: string): readonly string[] {
  return [...new Set(versions.flatMap((version) => inputsOf(version, home)))];
}

type Look = (messages: readonly LogMessage[]) => AsyncGenerator<Slice>;
type See = ReturnType<typeof createSight>;

/** Looks at messages that were read otherwise. */
export function createLook(reading: Looking): Look {
  const { versions, repeatsIn, broker } = reading;
  const sights = new Map<string, readonly See[]>();

  function sightsIn(stream: string) {
    const known = sights.get(stream);
    if (known !== undefined) return known;
    const made = versions.map((version): See => {
      const isRead = inputsOf(version, broker.home).includes(stream);
      return isRead ? createSight(version, stream, repeatsIn(stream)) : () => undefined;
    });
    sights.set(stream, made);
    return made;
  }

  return async function* look(messages) {
    let glances: Glance[] = [];
    let outside = 0;
    for (const message of messages) {
      const sightings = sightsIn(message.stream).map((see) => see(message.delivery));
      const more = outsideBytes(reading, sightings);
      if (more > 0 && outside > 0 && outside + more > outsideBytesMax) {
        yield await sliceOf(reading, glances);
        [glances, outside] = [[], 0];
      }
      glances.push({ ...message, sightings });
      outside += more;
    }
    if (glances.length > 0) yield await sliceOf(reading, glances);
  };
}

function outsideBytes(reading: Looking, sightings: Glance["sightings"]): number {
  const away = sightings.find((sighting) => isToFetch(reading, sighting));
  return (away?.event && datarefOf(away.event)?.bytes) ?? 0;
}

function isToFetch({ wantsData }: Looking, sighting: Sighting | undefined) {
  if (sighting?.kind !== "event" || !isAway(sighting.event)) return false;
  return wantsData === undefined || wantsData(sighting);
}

async function sliceOf(reading: Looking, glances: readonly Glance[]): Promise<Slice> {
  const seen: (Seen | undefined)[][] = reading.versions.map((version, at) =>
    glances.map(({ sightings, stream, delivery }) => {
      const sighting = sightings[at];
      return sighting && { sighting, job: jobOf(version, stream, delivery, sighting) };
    }),
  );
  const away = glances.flatMap(({ sightings }, at) =>
    sightings.some((sighting) => isToFetch(reading, sighting)) ? [at] : [],
  );
  for (let from = 0; from < away.length; from += fetchesAtOnce) {
    const some = away.slice(from, from + fetchesAtOnce);
    await Promise.all(some.map((at) => fetchInto(reading, seen, at)));
  }
  const last = new Map(glances.map(({ stream, delivery: { seq } }) => [stream, seq]));
  return {
    seen: seen.map((side) => side.filter((one) => one !== undefined)),
    upTo: [...last].map(([stream, seq]) => ({ stream, seq })),
  };
}

function jobOf(version: Handler, stream: string, delivery: Logged, { event }: Sighting) {
  return event && new FirstJob(version, stream, delivery, 0, event, 0);
}

/** Puts the data of one message back, for each version that sees an event in it. */
async function fetchInto(
  reading: Looking,
  seen: (Seen | undefined)[][],
  at: number,
): Promise<void> {
  let fetched: ReturnType<typeof fetchPatiently> | undefined; // once for all of them
  for (const [place, handler] of reading.versions.entries()) {
    const side = seen[place];
    const one = side?.[at];
    if (side === undefined || one?.job === undefined || !isToFetch(reading, one.sighting)) continue;
    const { position, storedMs } = one.sighting;
    try {
      fetched ??= fetchPatiently(reading.broker, one.job.event);
      const whole = (await fetched)(one.job);
      const job = Object.assign(whole, { handler, position, attempt: 1 });
      side[at] = { job, sighting: { position, storedMs, ...lookAt(handler, whole.event) } };
    } catch (error) {
      const sighting = { position, storedMs, ...deadBy(error), event: one.job.event };
      side[at] = { job: one.job, sighting };
    }
  }
}

const triesMax = 5; // as the log itself is read

async function fetchPatiently(broker: Broker, event: CloudEvent): ReturnType<typeof fetchAside> {
  for (let tries = 1; ; tries++) {
    try {
      return await fetchAside(broker, event);
    } catch (error) {
      if (tries === triesMax || !isSilence(error)) throw error;
      await sleep(tries * 250);
    }
  }
}

function isSilence(error: unknown): boolean {
  return error instanceof EddyError && error.code === "EDDY_READ_FAILED";
}

/** What live comes of it after its last attempt. Throws where only the server has not answered. */
function deadBy(error: unknown) {
  const said = error instanceof Error && error.cause instanceof EddyError ? error.cause : error;
  if (!(said instanceof EddyError) || isSilence(said)) throw said;
  const reason = error instanceof Permanent ? "permanent" : "attempts";
  return { kind: "dead", reason, cause: said } as const;
}

/** An event whose data is outside, with its data, and what that makes of it. */
export async function withData(
  broker: Broker,
  handler: Handler,
  { position, storedMs, event }: Extract<Sighting, { kind: "event" }>,
): Promise<Sighting> {
  const at = { position, storedMs };
  try {
    return { ...at, ...lookAt(handler, await fetchEvent(broker, event)) };
  } catch (error) {
    return { ...at, ...deadBy(error) };
  }
}
