// Where a rebuild begins, and whether it knows all of the past from there.
import type { Handler } from "../../authoring/index.ts";
import { type Broker, type StreamInfo, streamInfo } from "../../broker/index.ts";
import { EddyError, type Position, positionText } from "../../events/index.ts";
import { startOf } from "../consume.ts";
import type { Place } from "../ledger/place.ts";
import { firstSeqSince } from "../ledger/takeover.ts";

/** From where on an operator wants events to count. */
export type From = Position | Date;

export interface Beginning {
  readonly first: number;
  /** All that the entries were ever folded from is there: entries that no event touches are to go. */
  readonly whole: boolean;
  /** Of the home stream. */
  readonly createdMs: number;
}

/** @throws EddyError `EDDY_REBUILD_HEAD_GONE`, `EDDY_REBUILD_FROM` */
export async function beginningOf(
  broker: Broker,
  handler: Handler,
  place: Place,
  from: From | undefined,
): Promise<Beginning> {
  const home = await homeOf(broker);
  const createdMs = Date.parse(home.created);
  const head = home.state.first_seq;
  const own = await ownBeginning(broker, handler, place);
  if (from === undefined) {
    if (head > own && home.state.last_seq > 0) throw headGone(broker, handler, head);
    return { first: own, whole: true, createdMs };
  }
  const first = await firstOf(broker, from);
  if (first < head && first > 1) throw headGone(broker, handler, head);
  return { first: Math.max(first, head), whole: first <= own && head <= own, createdMs };
}

/** Fails where the head was cut, or the stream made anew, since a rebuild began there. */
export async function checkHead(
  broker: Broker,
  handler: Handler,
  { first, createdMs }: Beginning,
): Promise<void> {
  const home = await homeOf(broker);
  const head = home.state.first_seq;
  if (head > first && head > 1) throw headGone(broker, handler, head);
  if (Date.parse(home.created) !== createdMs) throw headGone(broker, handler, head);
}

async function homeOf(broker: Broker): Promise<StreamInfo> {
  const home = await streamInfo(broker.jsm, broker.home);
  if (home === undefined)
    throw new EddyError("EDDY_STREAM_MISSING", `stream ${broker.home} is not there`);
  return home;
}

async function ownBeginning(broker: Broker, handler: Handler, { stream }: Place): Promise<number> {
  const start = startOf(handler);
  if (start === "first" || start === "state") return 1;
  if (start instanceof Date) return await firstSeqSince(broker, broker.home, start);
  const bucket = await streamInfo(broker.jsm, stream); // made when it began
  return bucket === undefined
    ? 1
    : await firstSeqSince(broker, broker.home, new Date(bucket.created));
}

async function firstOf(broker: Broker, from: From): Promise<number> {
  if (from instanceof Date) return await firstSeqSince(broker, broker.home, from);
  if (from.stream === broker.home) return from.seq;
  const text = `a rebuild reads ${broker.home}: ${positionText(from)} is a position of another stream. Give a position of ${broker.home}, or a time`;
  throw new EddyError("EDDY_REBUILD_FROM", text);
}

function headGone({ home }: Broker, { name }: Handler, head: number): EddyError {
  const text =
    `projection ${name} was not rebuilt: ${home} begins at position ${head}, and its entries may stand on events from before. ` +
    `They are as they were. With --from ${home}:${head} entries that no event from there on touches stay as they are, and the others are folded ` +
    "from there on alone";
  return new EddyError("EDDY_REBUILD_HEAD_GONE", text, { projection: name, head });
}
