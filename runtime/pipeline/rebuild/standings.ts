// What of a projection's past left the fast way, as it stands beside its ledger now.
import { type Broker, readAll } from "../../broker/index.ts";
import { token } from "../../events/index.ts";
import type { Place } from "../ledger/place.ts";
import { listLetters } from "../retry/letters.ts";
import { decodeStanding, type Standing } from "../retry/standing.ts";

/** Standings of events of the home stream, by sequence. */
export async function readStandings(
  broker: Broker,
  { stream, ledger }: Place,
): Promise<Map<number, Standing>> {
  const found = new Map<number, Standing>();
  const root = `${ledger}.${token(broker.home)}.`;
  await readAll(broker, stream, `${root}*`, ({ subject, data }) => {
    found.set(Number(subject.slice(root.length)), decodeStanding(data));
  });
  return found;
}

/** Events that have expired and are kept as letters: no fold makes them young again. */
export async function readExpired(broker: Broker, handler: string): Promise<Set<number>> {
  const letters = await listLetters(broker, { handler });
  return new Set(letters.filter((l) => l.reason === "expired").map(({ origin }) => origin.seq));
}
