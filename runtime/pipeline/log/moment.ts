// A moment in several streams: how far each of them had come when a position of one of them was stored, or at a time.
// M1 What stands up to a moment is a beginning of what read-log reads: in the order of storing, and at equal times in the
// order in which the streams are named. So one position names a moment of all of them.
import { type Broker, firstSeqSince, readMessage } from "../../broker/index.ts";
import type { Position } from "../../events/index.ts";

/** The last sequence of each stream. */
export type UpTo = ReadonlyMap<string, number>;

/** What had been stored when a position was: up to it and with it, and of the other streams what was stored before. */
export async function upToPosition(
  broker: Broker,
  streams: readonly string[],
  position: Position,
): Promise<UpTo> {
  return new Map([
    ...(await othersBefore(broker, streams, position)),
    [position.stream, position.seq],
  ]);
}

/** What had been stored right before a position was. */
export async function upToBefore(
  broker: Broker,
  streams: readonly string[],
  position: Position,
): Promise<UpTo> {
  const upTo = await upToPosition(broker, streams, position);
  return new Map([...upTo, [position.stream, position.seq - 1]]);
}

/** What had been stored at a time, within its millisecond. */
export async function upToTime(
  broker: Broker,
  streams: readonly string[],
  atMs: number,
): Promise<UpTo> {
  const last = async (stream: string) => [stream, await lastUpTo(broker, stream, atMs)] as const;
  return new Map(await Promise.all(streams.map(last)));
}

/** The position that means this very moment: the last one of it, where its message is still there. */
export async function nameOfMoment(
  broker: Broker,
  streams: readonly string[],
  upTo: UpTo,
): Promise<Position> {
  const positions = streams.map((stream) => ({ stream, seq: upTo.get(stream) ?? 0 }));
  const [first, ...further] = positions;
  if (first === undefined) throw new RangeError("bug: a moment of no stream");
  if (further.length === 0) return first;
  const empty = positions.filter(({ seq }) => seq === 0);
  for (const position of [...positions.filter(({ seq }) => seq > 0), ...empty]) {
    const meant = await upToPosition(broker, streams, position);
    if (streams.every((stream) => meant.get(stream) === upTo.get(stream))) return position;
  }
  return first;
}

/** When it was stored, ms; where its message is gone, when the next one was; now, where there is none. */
export async function storedMsOf(broker: Broker, { stream, seq }: Position): Promise<number> {
  const which = { seq: Math.max(1, seq), next_by_subj: ">" };
  return (await readMessage(broker.nc, stream, which))?.time.getTime() ?? Date.now();
}

async function othersBefore(
  broker: Broker,
  streams: readonly string[],
  position: Position,
): Promise<UpTo> {
  const at = streams.indexOf(position.stream);
  if (at === -1) throw new RangeError(`bug: ${position.stream} is not among ${streams}`);
  if (streams.length === 1) return new Map();
  const storedMs = await storedMsOf(broker, position);
  const before = new Map<string, number>();
  for (const [place, stream] of streams.entries()) {
    if (place === at) continue;
    before.set(stream, await lastUpTo(broker, stream, place < at ? storedMs : storedMs - 1));
  }
  return before;
}

async function lastUpTo(broker: Broker, stream: string, atMs: number): Promise<number> {
  return (await firstSeqSince(broker, stream, new Date(atMs + 1))) - 1;
}
