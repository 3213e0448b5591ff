// What of a projection's past left the fast way, as it stands beside its ledger now: by stream, then by sequence.
import { type Broker, readAll } from "../../broker/index.ts";
import { type Position, token } from "../../events/index.ts";
import type { Place } from "../ledger/place.ts";
import { listLetters } from "../retry/letters.ts";
import { decodeStanding, type Standing } from "../retry/standing.ts";

export type Standings = ReadonlyMap<string, ReadonlyMap<number, Standing>>;
export type Expired = ReadonlyMap<string, ReadonlySet<number>>;

export async function readStandings(
  broker: Broker,
  { stream: own, ledger }: Place,
  streams: readonly string[],
): Promise<Standings> {
  const found = new Map<string, Map<number, Standing>>();
  for (const stream of streams) {
    const standings = new Map<number, Standing>();
    const root = `${ledger}.${token(stream)}.`;
    await readAll(broker, own, `${root}*`, ({ subject, data }) => {
      standings.set(Number(subject.slice(root.length)), decodeStanding(data));
    });
    found.set(stream, standings);
  }
  return found;
}

export function standingAt(standings: Standings, { stream, seq }: Position): Standing | undefined {
  return standings.get(stream)?.get(seq);
}

/** Events that have expired and are kept as letters: no fold makes them young again. */
export async function readExpired(broker: Broker, handler: string): Promise<Expired> {
  const found = new Map<string, Set<number>>();
  for (const { reason, origin } of await listLetters(broker, { handler })) {
    if (reason !== "expired") continue;
    const { stream, seq } = origin;
    found.set(stream, (found.get(stream) ?? new Set()).add(seq));
  }
  return found;
}
