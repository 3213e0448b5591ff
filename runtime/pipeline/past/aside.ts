// What became of events of a projection that did not go the straight way, as it is known now: their standings, and the
// letters of those that are dead.
import { type Broker, deadStream, readAll, streamInfo } from "../../broker/index.ts";
import { natsSubject, token } from "../../events/index.ts";
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

/** By position of the home stream. */
export interface Aside {
  readonly standings: ReadonlyMap<number, Standing["kind"]>;
  readonly letters: ReadonlyMap<number, LetterFacts>;
}

const errorCharsMax = 500;

export async function readAside(broker: Broker, projection: string): Promise<Aside> {
  // Letters last: an event that dies meanwhile is seen to be dead only where its letter is.
  const standings = await readStandings(broker, projection);
  return { standings, letters: await readLetters(broker, projection) };
}

async function readStandings(broker: Broker, projection: string) {
  const found = new Map<number, Standing["kind"]>();
  const { stream, ledger } = projectionPlace(projection);
  if ((await streamInfo(broker.jsm, stream)) === undefined) return found;
  const root = `${ledger}.${token(broker.home)}.`;
  await readAll(broker, stream, `${root}*`, ({ subject, data }) => {
    const seq = Number(subject.slice(root.length));
    if (Number.isSafeInteger(seq)) found.set(seq, decodeStanding(data).kind);
  });
  return found;
}

async function readLetters(broker: Broker, projection: string) {
  const found = new Map<number, LetterFacts>();
  if ((await streamInfo(broker.jsm, deadStream)) === undefined) return found;
  const root = natsSubject("dead", token(broker.app), token(projection), token(broker.home));
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
