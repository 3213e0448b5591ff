// How far a projection has come in a stream, read from the server alone: for whoever reads it, and for whoever waits
// until it has folded what stands at a position.
// P1 A position counts as passed only once the entries that it changed can be read. P2 Positions that hold no event of
// the projection are passed as soon as it has nothing left to read, and was asked about that after they were stored.
// P3 What waits for a retry or is dead is lacking.
import {
  type Broker,
  type ConsumerInfo,
  consumerInfo,
  readMessage,
  streamInfo,
} from "../broker/index.ts";
import type { Position } from "../events/index.ts";
import { missingAhead } from "./ahead.ts";
import { furtherStreams } from "./consume.ts";
import { holds, type Intervals } from "./ledger/floor.ts";
import { consumerName, projectionPlace } from "./ledger/place.ts";
import { decodeRecord, type InputRecord } from "./ledger/record.ts";
import { readStanding, type Standing } from "./retry/standing.ts";

/** What is needed of a broker to read. */
export type Reading = Pick<Broker, "nc" | "jsm" | "app" | "home">;

export interface Progress {
  /** Every event of the projection up to here has its outcome. */
  readonly at: Position;
  /** For how long the oldest event that it has not folded has been stored, in ms, in whichever of its streams; 0 where none
   * is left. */
  readonly staleMs: number;
  readonly nothingLeft: boolean;
  /** False while entries that the record carries are on their way: it says more than can be read. */
  readonly written: boolean;
  readonly above: Intervals;
}

/** What is said of one position. */
export type Passage =
  | { readonly kind: "passed" | "ahead" }
  /** It was not folded when nothing was left to read: it holds no event of the projection, or was stored after that. */
  | { readonly kind: "unread" }
  /** It was passed, but the entry does not have it: it waits for a retry, is parked behind one, or is dead. */
  | { readonly kind: "lacking"; readonly standing: Exclude<Standing["kind"], "done"> };

/** How far a projection has come in each stream that it has read, the home stream first; empty where it never ran, or
 * where a newer runtime keeps its record. */
export async function readPositions(
  { nc }: Pick<Broker, "nc">,
  projection: string,
): Promise<readonly Position[]> {
  const { stream, ledger } = projectionPlace(projection);
  const last = await readMessage(nc, stream, { last_by_subj: ledger });
  if (last === undefined) return [];
  try {
    return decodeRecord(last.data).inputs.map(({ stream, floor }) => ({ stream, seq: floor }));
  } catch {
    return [];
  }
}

/** The progress in a stream, or undefined where the projection has never read it. */
export async function readProgress(
  broker: Reading,
  projection: string,
  stream: string,
): Promise<Progress | undefined> {
  const place = projectionPlace(projection);
  // Before the ledger: what it calls settled stands in the record that is read then.
  const consumer = await consumerInfo(broker.jsm, stream, consumerName(broker.app, projection));
  const last = await readMessage(broker.nc, place.stream, { last_by_subj: place.ledger });
  if (last === undefined) return undefined;
  const { inputs, ahead } = decodeRecord(last.data);
  const input = inputs.find((known) => known.stream === stream);
  if (input === undefined) return undefined;
  const since = ahead?.since || last.seq;
  const unwritten = ahead && (await missingAhead(broker, place, { ...ahead, since }));
  const written = unwritten === undefined || unwritten.length === 0;
  const nothingLeft = isReadUp(consumer);
  const others = inputs.filter((known) => known !== input && isRead(broker, consumer, known));
  const ages = await Promise.all([
    nothingLeft ? 0 : ageBehind(broker, input, consumer),
    ...others.map((other) => ageIn(broker, projection, other)),
  ]);
  const staleMs = Math.max(...ages);
  return { at: { stream, seq: input.floor }, above: input.above, nothingLeft, written, staleMs };
}

function isReadUp(consumer: ConsumerInfo | undefined): boolean {
  return consumer?.num_pending === 0 && consumer.num_ack_pending === 0;
}

/** Its record also has the streams that it does not read any more. */
function isRead({ home }: Reading, consumer: ConsumerInfo | undefined, { stream }: InputRecord) {
  return stream === home || furtherStreams(consumer).includes(stream);
}

async function ageIn(broker: Reading, projection: string, input: InputRecord): Promise<number> {
  const name = consumerName(broker.app, projection);
  const consumer = await consumerInfo(broker.jsm, input.stream, name);
  return isReadUp(consumer) ? 0 : await ageBehind(broker, input, consumer);
}

/** Whether the projection shows what stands at a position of the stream whose progress was read before. `stored`: it
 * was known then that something stands there. */
export async function passageOf(
  broker: Reading,
  projection: string,
  { at, above, nothingLeft, written }: Progress,
  position: Position,
  stored: boolean,
): Promise<Passage> {
  const folded = position.seq <= at.seq || holds(above, position.seq);
  if (!written) return { kind: "ahead" };
  if (!folded && !(stored && nothingLeft)) return { kind: nothingLeft ? "unread" : "ahead" };
  const place = projectionPlace(projection);
  const standing = await readStanding(broker.nc, place, position);
  if (standing === undefined || standing.kind === "done") return { kind: "passed" };
  return { kind: "lacking", standing: standing.kind };
}

/** The last position of a stream; 0 where there is none. */
export async function lastStored({ jsm }: Pick<Reading, "jsm">, stream: string): Promise<number> {
  return (await streamInfo(jsm, stream))?.state.last_seq ?? 0;
}

async function ageBehind(
  broker: Reading,
  { stream, floor }: InputRecord,
  consumer: ConsumerInfo | undefined,
): Promise<number> {
  const filter = consumer?.config.filter_subject ?? ">";
  const next = await readMessage(broker.nc, stream, { seq: floor + 1, next_by_subj: filter });
  return next === undefined ? 0 : Math.max(0, Date.now() - next.time.getTime());
}
