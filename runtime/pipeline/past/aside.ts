// What became of events of a projection that did not go the straight way, as it is known now: their standings, and the
// letters of those that are dead.
import { type Broker, deadStream, readAll, streamInfo } from "../../broker/index.ts";
import { natsSubject, type Position, token } from "../../events/index.ts";
import { projectionPlace } from "../ledger/place.ts";
import type { LetterReason } from "../outcome.ts";
import { decodeParcel } from "../retry/parcel.ts";
import { decodeStanding, type Standing } from "../retry/standing.ts";

/** What a letter says of its event. */
export interface LetterFacts {
  /** What `eddy dead show` takes. */
  readonly letter: number;
  readonly reason: LetterReason;
  readonly error: string;
  /** Absent where the message is no event. */
  readonly key?: string;
}

/** By stream and sequence. */
export interface Aside {
  readonly standings: ReadonlyMap<string, ReadonlyMap<number, Standing["kind"]>>;
  readonly letters: ReadonlyMap<string, ReadonlyMap<number, LetterFacts>>;
}

export function standingOf({ standings }: Aside, { stream, seq }: Position) {
  return standings.get(stream)?.get(seq);
}

export function letterOf({ letters }: Aside, { stream, seq }: Position) {
  return letters.get(stream)?.get(seq);
}

const errorCharsMax = 500;

export async function readAside(
  broker: Broker,
  projection: string,
  streams: readonly string[],
): Promise<Aside> {
  // Letters last: an event that dies meanwhile is seen to be dead only where its letter is.
  const standings = new Map<string, ReadonlyMap<number, Standing["kind"]>>();
  for (const stream of streams)
    standings.set(stream, await readStandings(broker, projection, stream));
  const letters = new Map<string, ReadonlyMap<number, LetterFacts>>();
  for (const stream of streams) letters.set(stream, await readLetters(broker, projection, stream));
  return { standings, letters };
}

async function readStandings(broker: Broker, projection: string, input: string) {
  const found = new Map<number, Standing["kind"]>();
  const { stream, ledger } = projectionPlace(projection);
  if ((await streamInfo(broker.jsm, stream)) === undefined) return found;
  const root = `${ledger}.${token(input)}.`;
  await readAll(broker, stream, `${root}*`, ({ subject, data }) => {
    const seq = Number(subject.slice(root.length));
    if (Number.isSafeInteger(seq)) found.set(seq, decodeStanding(data).kind);
  });
  return found;
}

async function readLetters(broker: Broker, projection: string, input: string) {
  const found = new Map<number, LetterFacts>();
  if ((await streamInfo(broker.jsm, deadStream)) === undefined) return found;
  const root = natsSubject("dead", token(broker.app), token(projection), token(input));
  await readAll(broker, deadStream, `${root}.*`, ({ seq, data }) => {
    const parcel = decodeParcel(data);
    if (parcel?.death === undefined) return;
    const { reason, error, event } = parcel.death;
    found.set(parcel.original.position.seq, {
      letter: seq,
      reason,
      error: error.message.slice(0, errorCharsMax),
      ...(event === undefined ? {} : { key: event.key }),
    });
  });
  return found;
}
