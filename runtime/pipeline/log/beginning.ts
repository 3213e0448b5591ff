// What the streams that a projection reads still hold of it: where it began in each of them, and what is there now.
// Reads, stores nothing.
// B1 Where events that it may have folded are gone, the past counts as cut: also where nobody can tell that they were.
import type { Handler } from "../../authoring/index.ts";
import { type Broker, firstSeqSince, type StreamInfo, streamInfo } from "../../broker/index.ts";
import { EddyError, positionText } from "../../events/index.ts";
import { inputsOf, startOf } from "../consume.ts";
import { placeOf } from "../ledger/place.ts";

/** What a stream holds at a moment. */
export interface Holding {
  readonly stream: string;
  /** One that was made anew starts its sequences anew. */
  readonly createdMs: number;
  /** What stands there first, or would, and when it was stored. */
  readonly head: { readonly seq: number; readonly storedMs: number };
  readonly lastSeq: number;
}

/** One of the streams that a projection reads. */
export interface Extent extends Holding {
  /** Where it began to read. */
  readonly begins: number;
  /** The home stream is younger than the entries: they were folded from one that was there before. */
  readonly anew: boolean;
}

/** Home stream first. @throws EddyError `EDDY_HOME_MISSING`, `EDDY_STREAM_MISSING` */
export async function extentsOf(broker: Broker, handler: Handler): Promise<readonly Extent[]> {
  const bucket = await streamInfo(broker.jsm, placeOf(handler, broker).stream); // made when it began
  const streams = inputsOf(handler, broker.home);
  return await Promise.all(streams.map((stream) => extentOf(broker, handler, stream, bucket)));
}

async function extentOf(
  broker: Broker,
  handler: Handler,
  stream: string,
  bucket: StreamInfo | undefined,
): Promise<Extent> {
  const holding = await holdingOf(broker, stream);
  const begins = await beginsIn(broker, handler, holding, bucket);
  const entriesMs = Date.parse(bucket?.created ?? "");
  return { ...holding, begins, anew: stream === broker.home && entriesMs < holding.createdMs };
}

async function beginsIn(
  broker: Broker,
  handler: Handler,
  { stream, lastSeq }: Holding,
  bucket: StreamInfo | undefined,
): Promise<number> {
  const start = startOf(handler);
  if (start === "first" || start === "state") return 1;
  if (start !== "now") return await firstSeqSince(broker, stream, start);
  // No record says when that was: its bucket is made a moment before.
  if (bucket === undefined) return lastSeq + 1;
  return await firstSeqSince(broker, stream, new Date(bucket.created));
}

/** @throws EddyError `EDDY_HOME_MISSING`, `EDDY_STREAM_MISSING` */
export async function holdingOf(broker: Broker, stream: string): Promise<Holding> {
  const info = await streamInfo(broker.jsm, stream);
  if (info === undefined) throw missing(broker, stream);
  const { first_seq: seq, first_ts: firstTime, last_seq: lastSeq } = info.state;
  const head = { seq, storedMs: Date.parse(firstTime) };
  return { stream, createdMs: Date.parse(info.created), head, lastSeq };
}

/** Whether events that it may have folded are gone. */
export function isCut({ head, begins, anew }: Extent): boolean {
  // One that began at a time seems to begin at the head, where what it began with is gone.
  return anew || (head.seq > 1 && begins <= head.seq);
}

/** Whether all from a position on that was there is still there. */
export function holdsFrom(seq: number, before: Holding, now: Holding): boolean {
  return now.createdMs === before.createdMs && (now.head.seq <= 1 || seq >= now.head.seq);
}

/** What is left of a stream, for a person. */
export function leftOf({ stream, head, lastSeq }: Holding): string {
  if (lastSeq < head.seq || lastSeq === 0) return `${stream} is empty`;
  const first = positionText({ stream, seq: head.seq });
  return `${stream} begins at ${first}, stored ${new Date(head.storedMs).toISOString()}`;
}

function missing({ home }: Broker, stream: string): EddyError {
  if (stream !== home) return new EddyError("EDDY_STREAM_MISSING", `stream ${stream} is not there`);
  const text = `there is no stream ${home} on this server: nothing has happened yet, or home.stream is another one`;
  return new EddyError("EDDY_HOME_MISSING", text);
}
