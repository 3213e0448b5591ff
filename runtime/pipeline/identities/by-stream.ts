// The identity indexes of all streams that are read, one for each: made for whoever reads a stream first, and shared.
import type { Broker } from "../../broker/index.ts";
import type { Report } from "../facts.ts";
import { type Identities, type IdentityLimits, startIdentities } from "./identities.ts";

export interface IdentityIndexes {
  /** @throws EddyError, or what the server says, where the stream cannot be read; the next one who asks tries again. */
  of(stream: string): Promise<Identities>;
  /** Of all of them. */
  readonly size: number;
  readonly bytes: number;
  readonly left: number;
  stop(): Promise<void>;
}

export function createIndexes(
  broker: Broker,
  limits: IdentityLimits,
  report: Report,
): IdentityIndexes {
  const made = new Map<string, Promise<Identities>>();
  const known: Identities[] = [];

  function of(stream: string): Promise<Identities> {
    const before = made.get(stream);
    if (before !== undefined) return before;
    const making = startIdentities(broker, stream, limits, report);
    made.set(stream, making);
    making.then(
      (identities) => known.push(identities),
      () => made.delete(stream),
    );
    return making;
  }

  const sum = (of: (identities: Identities) => number) =>
    known.reduce((all, identities) => all + of(identities), 0);

  return {
    of,
    get size() {
      return sum(({ size }) => size);
    },
    get bytes() {
      return sum(({ bytes }) => bytes);
    },
    get left() {
      return sum(({ left }) => left);
    },
    async stop() {
      await Promise.all(known.map((identities) => identities.stop()));
    },
  };
}
