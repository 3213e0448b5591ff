// Where a rebuild begins, and whether it knows all of the past from there.
import type { Handler } from "../../authoring/index.ts";
import type { Broker } from "../../broker/index.ts";
import { EddyError, type Position, positionText } from "../../events/index.ts";
import { firstSeqSince } from "../ledger/takeover.ts";
import { extentsOf, type Holding, holdingOf, holdsFrom, isCut, leftOf } from "../log/beginning.ts";

/** From where on an operator wants events to count. */
export type From = Position | Date;

export interface Beginning {
  readonly first: number;
  /** All that the entries were ever folded from is there: entries that no event touches are to go. */
  readonly whole: boolean;
  /** Of the home stream, as it was. */
  readonly home: Holding;
}

/** @throws EddyError `EDDY_REBUILD_HEAD_GONE`, `EDDY_REBUILD_FROM` */
export async function beginningOf(
  broker: Broker,
  handler: Handler,
  from: From | undefined,
): Promise<Beginning> {
  const [home] = await extentsOf(broker, handler);
  if (home === undefined) throw new RangeError("a projection reads the home stream");
  const { begins, head } = home;
  if (from === undefined) {
    if (isCut(home)) throw headGone(handler, home);
    return { first: begins, whole: true, home };
  }
  const first = await firstOf(broker, from);
  if (first < head.seq && first > 1) throw headGone(handler, home);
  return { first: Math.max(first, head.seq), whole: first <= begins && !isCut(home), home };
}

/** Fails where the head was cut, or the stream made anew, since a rebuild began there. */
export async function checkHead(
  broker: Broker,
  handler: Handler,
  { first, home }: Beginning,
): Promise<void> {
  const now = await holdingOf(broker, broker.home);
  if (!holdsFrom(first, home, now)) throw headGone(handler, now);
}

async function firstOf(broker: Broker, from: From): Promise<number> {
  if (from instanceof Date) return await firstSeqSince(broker, broker.home, from);
  if (from.stream === broker.home) return from.seq;
  const text = `a rebuild reads ${broker.home}: ${positionText(from)} is a position of another stream. Give a position of ${broker.home}, or a time`;
  throw new EddyError("EDDY_REBUILD_FROM", text);
}

function headGone({ name }: Handler, home: Holding): EddyError {
  const { stream, head } = home;
  const text =
    `projection ${name} was not rebuilt: ${leftOf(home)}, and its entries may stand on events from before. ` +
    `They are as they were. With --from ${stream}:${head.seq} entries that no event from there on touches stay as they are, and the others are folded ` +
    "from there on alone";
  return new EddyError("EDDY_REBUILD_HEAD_GONE", text, { projection: name, head: head.seq });
}
