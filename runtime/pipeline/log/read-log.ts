// The log as one handler sees it, read aside: no durable consumer, no ledger, nothing stored. For whoever folds or runs
// the past again: rebuild, time travel, replay.
// Data that is outside is put back; a chunk ends early where it has become large.
// L1 Stream order; what it yields is what the handler wants by its declaration, each with the verdict before its lane.
import type { Handler } from "../../authoring/index.ts";
import { type Broker, readRange } from "../../broker/index.ts";
import { EddyError, isAway } from "../../events/index.ts";
import { fetchEvent } from "../away/fetch.ts";
import { filterOf } from "../consume.ts";
import { createSight, lookAt, type Sighting } from "./sight.ts";

export interface LogRange {
  readonly from: number;
  /** Inclusive. */
  readonly to: number;
}

/**
 * Reads a range of the home stream for a handler, in chunks that are made when they are asked for. `repeatOf` tells repeats: the
 * process's own identity index, or `readRepeats`.
 * @throws EddyError `EDDY_READ_FAILED`
 */
export async function* readLog(
  broker: Broker,
  handler: Handler,
  range: LogRange,
  repeatOf: (seq: number) => number,
): AsyncGenerator<Sighting[]> {
  const stream = broker.home;
  const see = createSight(handler, stream, repeatOf);
  for await (const chunk of readRange(broker, { stream, filter: filterOf(handler), ...range })) {
    let seen: Sighting[] = [];
    for (const delivery of chunk) {
      const sighting = see(delivery);
      if (sighting === undefined) continue;
      if (sighting.kind !== "event" || !isAway(sighting.event)) {
        seen.push(sighting);
        continue;
      }
      // One at a time with what is before it: any number of them may be in a chunk.
      if (seen.length > 0) yield seen;
      seen = [];
      yield [await withData(broker, handler, sighting)];
    }
    yield seen;
  }
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
    const said = error instanceof Error && error.cause instanceof EddyError ? error.cause : error;
    if (!(said instanceof EddyError)) throw error;
    if (said.code === "EDDY_READ_FAILED") throw said;
    return { ...at, kind: "dead", reason: "attempts", cause: said };
  }
}
