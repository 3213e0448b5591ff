// Where a rebuild begins in each stream that is read, and whether it knows all of the past from there.
// G1 Nobody is shown less than there was without having asked for it. Where events that the entries may stand on are gone,
// what still tells the past is the beginning, and where nothing does there is none:
// - Of types with a compacted home that is the last event of each entity (from-state.ts), as for a new projection. An entry
//   that no event there or behind it touches stays: nobody can tell whether it is to go, or stands on what was cut
//   before its type was kept there.
// - For all others the entries themselves, at the positions of their ledger, are the only checkpoint there is. A version
//   that takes them for its own goes on from there in any case; to begin a rebuild with them would change nothing, so it
//   is refused, and says so.
// - `--from` is the word of an operator that events from there on count alone.
import type { Handler } from "../../authoring/index.ts";
import { type Broker, firstSeqSince } from "../../broker/index.ts";
import { EddyError, type Position, positionText } from "../../events/index.ts";
import type { InputRecord } from "../ledger/record.ts";
import {
  type Extent,
  extentsOf,
  type Holding,
  holdingOf,
  holdsFrom,
  isCut,
  leftOf,
} from "../log/beginning.ts";
import { couldJoin, type FromState, fromState } from "./from-state.ts";

/** From where on an operator wants events to count. */
export type From = Position | Date;

/** One of the streams that are read. */
interface Begun {
  readonly stream: string;
  readonly first: number;
  /** As it was then. */
  readonly holding: Holding;
}

export interface Beginning {
  /** Home stream first. */
  readonly inputs: readonly Begun[];
  /** All that the entries were ever folded from is there: entries that no event touches are to go. */
  readonly whole: boolean;
  /** What stands for the head of the home stream, where that is gone. */
  readonly state?: FromState;
}

/** `inputs` are those of the ledger. @throws EddyError `EDDY_REBUILD_HEAD_GONE`, `EDDY_REBUILD_FROM` */
export async function beginningOf(
  broker: Broker,
  handler: Handler,
  inputs: readonly InputRecord[],
  from: From | undefined,
): Promise<Beginning> {
  const extents = await extentsOf(broker, handler);
  if (from !== undefined) return await beginningFrom(broker, handler, extents, from);
  const cut = extents.filter(isCut);
  if (cut.length === 0) return { inputs: extents.map((one) => begunAt(one)), whole: true };
  const [home, ...further] = extents;
  const state =
    home !== undefined && !further.some(isCut) && couldJoin(handler)
      ? await fromState(broker, handler, home, inputs)
      : undefined;
  if (home === undefined || state === undefined) throw headGone(handler, cut);
  const begun = [begunAt(home, state.first), ...further.map((one) => begunAt(one))];
  return { inputs: begun, whole: false, state };
}

async function beginningFrom(
  broker: Broker,
  handler: Handler,
  extents: readonly Extent[],
  from: From,
): Promise<Beginning> {
  const firsts = await firstsOf(broker, extents, from);
  const firstIn = ({ stream }: Extent) => firsts.get(stream) ?? 1;
  const gone = extents.filter((one) => firstIn(one) < one.head.seq && firstIn(one) > 1);
  if (gone.length > 0) throw headGone(handler, gone);
  return {
    inputs: extents.map((one) => begunAt(one, Math.max(firstIn(one), one.head.seq))),
    whole: extents.every((one) => firstIn(one) <= one.begins && !isCut(one)),
  };
}

function begunAt(extent: Extent, first = extent.begins): Begun {
  return { stream: extent.stream, first, holding: extent };
}

/** Fails where a head was cut, or a stream made anew, since a rebuild began there. */
export async function checkHeads(
  broker: Broker,
  handler: Handler,
  { inputs }: Beginning,
): Promise<void> {
  const found = await Promise.all(
    inputs.map(async ({ stream, first, holding }) => {
      const now = await holdingOf(broker, stream);
      return holdsFrom(first, holding, now) ? [] : [now];
    }),
  );
  const gone = found.flat();
  if (gone.length > 0) throw headGone(handler, gone);
}

/** Where each stream begins. A position is one of its own stream: the others begin with what was stored since then. */
async function firstsOf(
  broker: Broker,
  extents: readonly Extent[],
  from: From,
): Promise<ReadonlyMap<string, number>> {
  const own = from instanceof Date ? undefined : ownSeq(extents, from);
  const others = extents.filter(({ stream }) => stream !== own?.stream);
  const since = from instanceof Date ? from : await storedAt(broker, from, others.length > 0);
  const firsts = await Promise.all(
    others.map(async ({ stream, lastSeq }): Promise<[string, number]> => {
      const first = since === undefined ? lastSeq + 1 : await firstSeqSince(broker, stream, since);
      return [stream, first];
    }),
  );
  return new Map(own === undefined ? firsts : [[own.stream, own.seq], ...firsts]);
}

function ownSeq(extents: readonly Extent[], from: Position): Position {
  const streams = extents.map(({ stream }) => stream);
  if (streams.includes(from.stream)) return from;
  const reads = streams.join(" and ");
  const text = `this rebuild reads ${reads}: ${positionText(from)} is a position of another stream. Give a position of ${reads}, or a time`;
  throw new EddyError("EDDY_REBUILD_FROM", text);
}

/** When the first message from a position on was stored; undefined where there is none. */
async function storedAt(broker: Broker, { stream, seq }: Position, isWanted: boolean) {
  if (!isWanted) return undefined;
  const found = await broker.jsm.direct.getMessage(stream, { seq, next_by_subj: ">" });
  return found === null ? undefined : new Date(Math.floor(Date.parse(found.timestamp)));
}

function headGone(handler: Handler, gone: readonly (Holding & { anew?: boolean })[]): EddyError {
  const { name } = handler;
  const there = gone.map((one) => (one.anew ? `${one.stream} was made anew` : leftOf(one)));
  const latest = gone.reduce((a, b) => (b.head.storedMs > a.head.storedMs ? b : a));
  const head = Math.max(1, latest.head.seq);
  const at = positionText({ stream: latest.stream, seq: head });
  const instead = couldJoin(handler)
    ? "The compacted home of its types does not stand for it: it lacks events that were cut, or another stream is cut. "
    : "";
  const text =
    `projection ${name} was not rebuilt: ${there.join(", ")}, and its entries may stand on events from before. ${instead}` +
    "They are as they were, and the version that runs goes on from them: no other checkpoint is there. " +
    `With --from ${at} entries that no event from there on touches stay as they are, and the others are folded from there on alone`;
  return new EddyError("EDDY_REBUILD_HEAD_GONE", text, { projection: name, head });
}
