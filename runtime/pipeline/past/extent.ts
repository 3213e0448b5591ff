// What of a projection's past the log still holds, and which position belongs to a time. Reads, stores nothing.
// E1 Where events before the log's first one may have been folded, nothing is said of the past at all: not of keys either
// whose events all seem to be there, because nobody can tell that they are.
import type { Handler } from "../../authoring/index.ts";
import { type Broker, type StreamInfo, streamInfo } from "../../broker/index.ts";
import { EddyError } from "../../events/index.ts";
import { startOf } from "../consume.ts";
import { placeOf } from "../ledger/place.ts";
import { firstSeqSince } from "../ledger/takeover.ts";

export interface Extent {
  readonly stream: string;
  readonly createdMs: number;
  /** What stands there first, and when it was stored. */
  readonly head: { readonly seq: number; readonly storedMs: number };
  readonly lastSeq: number;
  /** Where the projection began to read. */
  readonly begins: number;
}

/** @throws EddyError `EDDY_PAST_CUT`, `EDDY_HOME_MISSING` */
export async function extentOf(broker: Broker, handler: Handler): Promise<Extent> {
  const home = await homeOf(broker);
  const { first_seq: seq, first_ts: firstTime, last_seq: lastSeq } = home.state;
  const begins = await beginningOf(broker, handler, lastSeq);
  const head = { seq, storedMs: Date.parse(firstTime) };
  const extent = {
    stream: broker.home,
    createdMs: Date.parse(home.created),
    head,
    lastSeq,
    begins,
  };
  if (isCut(extent, head.seq)) throw cut(handler, extent);
  return extent;
}

/** Fails where what was read may have been cut meanwhile. */
export async function checkUncut(broker: Broker, handler: Handler, extent: Extent): Promise<void> {
  const home = await homeOf(broker);
  const head = { seq: home.state.first_seq, storedMs: Date.parse(home.state.first_ts) };
  const isAnew = Date.parse(home.created) !== extent.createdMs;
  if (isAnew || isCut(extent, head.seq)) throw cut(handler, { ...extent, head });
}

/** The last position that was stored up to a time, within its millisecond. */
export async function seqAt(broker: Broker, { stream }: Extent, atMs: number): Promise<number> {
  return (await firstSeqSince(broker, stream, new Date(atMs + 1))) - 1;
}

async function homeOf(broker: Broker): Promise<StreamInfo> {
  const home = await streamInfo(broker.jsm, broker.home);
  if (home !== undefined) return home;
  const text = `there is no stream ${broker.home} on this server: nothing has happened yet, or home.stream is another one`;
  throw new EddyError("EDDY_HOME_MISSING", text);
}

async function beginningOf(broker: Broker, handler: Handler, lastSeq: number): Promise<number> {
  const start = startOf(handler);
  if (start === "first" || start === "state") return 1;
  if (start !== "now") return await firstSeqSince(broker, broker.home, start);
  // Its bucket is made a moment before it begins; no record says when that was.
  const { stream } = placeOf(handler, broker);
  const bucket = await streamInfo(broker.jsm, stream);
  if (bucket === undefined) return lastSeq + 1;
  return await firstSeqSince(broker, broker.home, new Date(bucket.created));
}

// A projection that began at a time seems to begin at the head, where what it began with is gone.
function isCut({ begins }: Extent, headSeq: number): boolean {
  return headSeq > 1 && begins <= headSeq;
}

function cut({ name }: Handler, { stream, head, lastSeq }: Extent): EddyError {
  const there =
    lastSeq < head.seq
      ? `${stream} is empty`
      : `${stream} begins at ${stream}:${head.seq}, stored ${new Date(head.storedMs).toISOString()}`;
  const text =
    `the past of projection ${name} cannot be told: ${there}, and what was cut before it (home.retention) is missing in every state ` +
    "from then on. The entries as they are now can be read as always; a longer home.retention keeps more from now on";
  return new EddyError("EDDY_PAST_CUT", text, { projection: name, first: `${stream}:${head.seq}` });
}
