// The part of the log that is run again, as one or several versions of a handler see it, side by side.
import type { Handler } from "../../authoring/index.ts";
import { type Broker, readRange } from "../../broker/index.ts";
import { narrowestFilter } from "../../events/index.ts";
import { createSight } from "../log/sight.ts";
import type { Seen } from "./rerun.ts";
import type { Span } from "./span.ts";

export interface Part {
  /** What each version sees of it. Each has events of its own: no version sees what another one did to their data. */
  readonly seen: readonly (readonly Seen[])[];
  /** All up to here was read. */
  readonly upTo: number;
}

/** Reads a span for these versions, in parts that are made when they are asked for. */
export async function* readPast(
  broker: Broker,
  versions: readonly Handler[],
  span: Span,
  repeatOf: (seq: number) => number,
): AsyncGenerator<Part> {
  const stream = broker.home;
  const types = versions.flatMap(({ declaration }) => declaration.from.map(({ type }) => type));
  const filter = narrowestFilter([...new Set(types)]);
  const sights = versions.map((version) => createSight(version, stream, repeatOf));
  for await (const chunk of readRange(broker, { stream, filter, ...span })) {
    for (let at = 0; at < chunk.length; at += partMax) {
      const part = chunk.slice(at, at + partMax);
      const seen = sights.map((see) =>
        part.flatMap((delivery): Seen[] => {
          const sighting = see(delivery);
          return sighting === undefined ? [] : [{ sighting, delivery }];
        }),
      );
      yield { seen, upTo: part.at(-1)?.seq ?? span.to };
    }
  }
}

const partMax = 800; // what a projection makes of it fits into one batch
