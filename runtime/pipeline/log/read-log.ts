// The log as one handler sees it, read aside: no durable consumer, no ledger, nothing stored. For whoever folds or runs
// the past again: rebuild, time travel, replay.
// L1 Stream order; what it yields is what the handler wants by its declaration, each with the verdict before its lane.
import type { Handler } from "../../authoring/index.ts";
import { type Broker, readRange } from "../../broker/index.ts";
import { filterOf } from "../consume.ts";
import { createSight, type Sighting } from "./sight.ts";

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
    const seen: Sighting[] = [];
    for (const delivery of chunk) {
      const sighting = see(delivery);
      if (sighting !== undefined) seen.push(sighting);
    }
    yield seen;
  }
}
