// Telling readers that a switch may come, so that each of them looks at the marker before it does.
// A1 Of a zombie's word and the holder's, the holder's stays: each replaces the one that was read before.
import { setTimeout as sleep } from "node:timers/promises";
import { type Broker, storeBatch } from "../../broker/index.ts";
import { EddyError } from "../../events/index.ts";
import type { Place } from "../ledger/place.ts";
import { markerLeaseMs, markerMessage, readMarker } from "./marker.ts";

export interface Announcement {
  /** Resolves once every reader knows, or cannot read. */
  untilKnown(): Promise<void>;
  /** Takes it back, where nothing has come of it. */
  end(): Promise<void>;
}

const knownMs = 1.5 * markerLeaseMs;
const answerMs = 5_000;

export async function announce(broker: Broker, place: Place): Promise<Announcement> {
  let { seq, atMs } = await say(broker, place);
  return {
    async untilKnown() {
      // It goes by itself after a while.
      if ((await readMarker(broker, place))?.seq !== seq)
        ({ seq, atMs } = await say(broker, place));
      await sleep(Math.max(0, atMs + knownMs - performance.now()));
    },
    end: () => forgetSoon(broker, place, seq),
  };
}

async function say(broker: Broker, place: Place): Promise<{ seq: number; atMs: number }> {
  const before = (await readMarker(broker, place))?.seq ?? 0;
  const message = { ...markerMessage(place, { kind: "soon" }), expectedSeq: before };
  const result = await storeBatch(broker.nc, [message], answerMs);
  if (result.kind === "stored") return { seq: result.lastSeq, atMs: performance.now() };
  const why = "description" in result ? result.description : result.kind;
  const text = `stream ${place.stream} did not take the note that a rebuild begins: ${why}. Nothing has changed; ask again`;
  throw new EddyError("EDDY_REBUILD_FAILED", text);
}

/** Removes an announcement that nobody stands for any more. */
export async function forgetSoon(broker: Broker, place: Place, seq?: number): Promise<void> {
  const found = await readMarker(broker, place);
  if (found?.marker.kind !== "soon" || (seq !== undefined && found.seq !== seq)) return;
  const filter = markerMessage(place, found.marker).natsSubject;
  await broker.jsm.streams.purge(place.stream, { filter, seq: found.seq + 1 });
}
