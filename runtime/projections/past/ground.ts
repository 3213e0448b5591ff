// What all questions about a projection's past begin with: its code, how far its streams go back, which positions repeat
// earlier ones, what is dead.
import type { Handler } from "../../authoring/index.ts";
import type { Broker } from "../../broker/index.ts";
import { EddyError, type Position, positionText } from "../../events/index.ts";
import {
  type Extent,
  inputsOf,
  type LogRange,
  nameOfMoment,
  type PastParts,
  type Runs,
  readAside,
  readRepeatsIn,
  type UpTo,
  upToPosition,
  upToTime,
  type When,
  whenText,
  wholeExtentsOf,
} from "../../pipeline/index.ts";

/** What is needed to ask. */
export interface Asking {
  readonly broker: Broker;
  readonly runs: Runs;
  /** Whose code is at hand. */
  readonly handlers: () => readonly Handler[];
}

/** A moment as positions of the log. */
export interface Moment {
  /** The one that names it: what had been stored with it and before it counts, in all streams. */
  readonly at: Position;
  readonly upTo: UpTo;
  /** Nothing stands behind it: it is the present. */
  readonly present: boolean;
}

export interface Ground {
  readonly handler: Handler;
  /** Of the streams that it is folded from, the home stream first. */
  readonly extents: readonly [Extent, ...Extent[]];
  /** Parts of a fold up to the last of the moments. */
  parts(to: Moment): Promise<PastParts>;
}

/** @throws EddyError `EDDY_PAST_CODE`, `EDDY_PAST_CUT`, `EDDY_HOME_MISSING`, `EDDY_STREAM_MISSING` */
export async function groundOf(asking: Asking, name: string, signal: AbortSignal): Promise<Ground> {
  const { broker, runs } = asking;
  const handler = handlerOf(asking, name);
  if (handler === undefined) throw noCode(name);
  const extents = await wholeExtentsOf(broker, handler);
  return {
    handler,
    extents,
    async parts({ upTo }) {
      const aside = await readAside(broker, handler.name, streamsOf(extents));
      signal.throwIfAborted();
      const ends = [...upTo].map(([stream, to]) => ({ stream, to }));
      const repeatsIn = await readRepeatsIn(broker, ends, signal);
      return { broker, handler, runs, aside, repeatsIn, signal };
    },
  };
}

/** The streams whose positions can be asked for; of a projection without code here, the home stream. */
export function streamsFor(asking: Asking, name: string): readonly string[] {
  const { home } = asking.broker;
  const handler = handlerOf(asking, name);
  return handler === undefined ? [home] : inputsOf(handler, home);
}

function handlerOf({ handlers }: Asking, name: string): Handler | undefined {
  return handlers().find((h) => h.declaration.kind === "projection" && h.name === name);
}

/** The positions that a moment means: the last ones that were stored up to then. */
export async function momentOf(broker: Broker, { extents }: Ground, when: When): Promise<Moment> {
  const streams = streamsOf(extents);
  const ends = new Map(extents.map(({ stream, lastSeq }) => [stream, lastSeq]));
  const meant = await meantBy(broker, streams, ends, when);
  const upTo = new Map(
    extents.map(({ stream, lastSeq }) => {
      const seq = meant?.get(stream) ?? lastSeq;
      return [stream, Math.max(0, Math.min(seq, lastSeq))];
    }),
  );
  const present = extents.every(({ stream, lastSeq }) => upTo.get(stream) === lastSeq);
  const named = when.kind === "position" && !present;
  return { at: named ? when.position : await nameOfMoment(broker, streams, upTo), upTo, present };
}

/** Undefined for the present. */
async function meantBy(
  broker: Broker,
  streams: readonly string[],
  ends: UpTo,
  when: When,
): Promise<UpTo | undefined> {
  if (when.kind === "time")
    return when.atMs >= Date.now() ? undefined : await upToTime(broker, streams, when.atMs);
  const { stream, seq } = when.position;
  const end = ends.get(stream);
  if (end === undefined) throw new RangeError(`bug: ${stream} is not read`);
  const isBeyond = streams.length === 1 ? seq >= end : seq > end;
  return isBeyond ? undefined : await upToPosition(broker, streams, when.position);
}

/** What is folded up to a moment, or of it from another one on. */
export function rangesUpTo({ extents }: Ground, to: Moment, from?: Moment): readonly LogRange[] {
  return extents.map(({ stream, begins }) => {
    const first = from === undefined ? begins : Math.max(begins, (from.upTo.get(stream) ?? 0) + 1);
    return { stream, from: first, to: to.upTo.get(stream) ?? 0 };
  });
}

/** Fails where there was nothing yet. @throws EddyError `EDDY_PAST_BEFORE` */
export function checkBegun({ extents }: Ground, when: When, { upTo, present }: Moment): void {
  if (present || extents.some(({ stream, head }) => (upTo.get(stream) ?? 0) >= head.seq)) return;
  const there = extents.filter(({ head, lastSeq }) => lastSeq >= head.seq);
  const [earliest = extents[0]] = there.toSorted((a, b) => a.head.storedMs - b.head.storedMs);
  const { stream, head } = earliest;
  const first = positionText({ stream, seq: head.seq });
  const stored = new Date(head.storedMs).toISOString();
  const text = `${whenText(when)} is before all that happened: ${stream} begins at ${first}, stored ${stored}. Ask for that, or a later moment`;
  throw new EddyError("EDDY_PAST_BEFORE", text, { first });
}

function streamsOf(extents: readonly Extent[]): readonly string[] {
  return extents.map(({ stream }) => stream);
}

function noCode(name: string): EddyError {
  const text =
    `there is no code of a projection ${JSON.stringify(name.slice(0, 100))} here, and the past is folded anew with it. ` +
    "Ask a node that runs it, or name the folder that declares it: --handlers DIR";
  return new EddyError("EDDY_PAST_CODE", text, { projection: name.slice(0, 100) });
}
