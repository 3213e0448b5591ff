// What of a projection's past its streams still hold. Reads, stores nothing.
// E1 Where events before the first one of a stream may have been folded, nothing is said of the past at all: not of keys
// either whose events all seem to be there, because nobody can tell that they are.
import type { Handler } from "../../authoring/index.ts";
import type { Broker } from "../../broker/index.ts";
import { EddyError } from "../../events/index.ts";
import {
  type Extent,
  extentsOf,
  type Holding,
  holdingOf,
  isCut,
  leftOf,
} from "../log/beginning.ts";

/** All streams that it reads, whole; the home stream first. @throws EddyError `EDDY_PAST_CUT`, `EDDY_HOME_MISSING`, `EDDY_STREAM_MISSING` */
export async function wholeExtentsOf(
  broker: Broker,
  handler: Handler,
): Promise<readonly [Extent, ...Extent[]]> {
  const [home, ...further] = await extentsOf(broker, handler);
  if (home === undefined) throw new RangeError("bug: a projection without a stream");
  const extents = [home, ...further] as const;
  const found = extents.find(isCut);
  if (found !== undefined) throw cut(broker, handler, found);
  return [...extents];
}

/** Fails where what was read may have been cut meanwhile. */
export async function checkUncut(
  broker: Broker,
  handler: Handler,
  extents: readonly Extent[],
): Promise<void> {
  for (const extent of extents) {
    const now = await holdingOf(broker, extent.stream);
    if (now.createdMs !== extent.createdMs || isCut({ ...extent, head: now.head }))
      throw cut(broker, handler, now);
  }
}

function cut({ home }: Broker, { name }: Handler, holding: Holding): EddyError {
  const { stream, head } = holding;
  const [why, advice] =
    stream === home
      ? [" (home.retention)", "; a longer home.retention keeps more from now on"]
      : ["", ""];
  const text =
    `the past of projection ${name} cannot be told: ${leftOf(holding)}, and what was cut before it${why} is missing in every state ` +
    `from then on. The entries as they are now can be read as always${advice}`;
  return new EddyError("EDDY_PAST_CUT", text, { projection: name, first: `${stream}:${head.seq}` });
}
