// What all questions about a projection's past begin with: its code, how far the log goes back, which positions repeat
// earlier ones, what is dead.
import type { Handler } from "../../authoring/index.ts";
import type { Broker } from "../../broker/index.ts";
import { EddyError, type Position, positionText } from "../../events/index.ts";
import {
  type Extent,
  extentOf,
  type PastParts,
  type Runs,
  readAside,
  readRepeats,
  seqAt,
} from "../../pipeline/index.ts";
import { type When, whenText } from "./when.ts";

/** What is needed to ask. */
export interface Asking {
  readonly broker: Broker;
  readonly runs: Runs;
  /** Whose code is at hand. */
  readonly handlers: () => readonly Handler[];
}

/** A moment as a position of the log. */
export interface Moment {
  readonly at: Position;
  /** Nothing stands behind it: it is the present. */
  readonly present: boolean;
}

export interface Ground {
  readonly handler: Handler;
  readonly extent: Extent;
  /** Parts of a fold up to the last of the moments. */
  parts(to: Moment): Promise<PastParts>;
}

/** @throws EddyError `EDDY_PAST_CODE`, `EDDY_PAST_CUT`, `EDDY_HOME_MISSING` */
export async function groundOf(asking: Asking, name: string, signal: AbortSignal): Promise<Ground> {
  const { broker, runs } = asking;
  const handler = asking
    .handlers()
    .find((h) => h.declaration.kind === "projection" && h.name === name);
  if (handler === undefined) throw noCode(name);
  const extent = await extentOf(broker, handler);
  return {
    handler,
    extent,
    async parts({ at }) {
      const aside = await readAside(broker, handler.name);
      signal.throwIfAborted();
      const repeatOf = await readRepeats(broker, broker.home, at.seq, signal);
      return { broker, handler, runs, aside, repeatOf, signal };
    },
  };
}

/** The position that a moment means: the last one that was stored up to then. */
export async function momentOf(broker: Broker, extent: Extent, when: When): Promise<Moment> {
  const { stream, lastSeq } = extent;
  const end = { at: { stream, seq: lastSeq }, present: true };
  if (when.kind === "position") {
    const { seq } = when.position;
    return seq >= lastSeq ? end : { at: when.position, present: false };
  }
  if (when.atMs >= Date.now()) return end;
  const seq = await seqAt(broker, extent, when.atMs);
  return seq >= lastSeq ? end : { at: { stream, seq: Math.max(0, seq) }, present: false };
}

/** Fails where there was nothing yet. @throws EddyError `EDDY_PAST_BEFORE` */
export function checkBegun({ stream, head }: Extent, when: When, { at, present }: Moment): void {
  if (present || at.seq >= head.seq) return;
  const first = `${positionText({ stream, seq: head.seq })}, stored ${new Date(head.storedMs).toISOString()}`;
  const text = `${whenText(when)} is before all that happened: ${stream} begins at ${first}. Ask for that, or a later moment`;
  throw new EddyError("EDDY_PAST_BEFORE", text, { first: positionText({ stream, seq: head.seq }) });
}

function noCode(name: string): EddyError {
  const text =
    `there is no code of a projection ${JSON.stringify(name.slice(0, 100))} here, and the past is folded anew with it. ` +
    "Ask a node that runs it, or name the folder that declares it: --handlers DIR";
  return new EddyError("EDDY_PAST_CODE", text, { projection: name.slice(0, 100) });
}
