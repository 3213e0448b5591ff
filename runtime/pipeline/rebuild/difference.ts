// Which entries of a bucket differ from their states as they were folded anew.
import { isDeepStrictEqual } from "node:util";
import { type Broker, type Delivery, readRange, streamInfo } from "../../broker/index.ts";
import { EddyError, parseHeaderBlock, untoken } from "../../events/index.ts";
import type { Place } from "../ledger/place.ts";
import { marksIn } from "../marks.ts";
import type { States } from "./states.ts";

/** Keys to be written, or to be removed. `whole`: the states know all of the past, and what they lack is to go. */
export async function differingKeys(
  broker: Broker,
  { stream }: Place,
  projection: string,
  states: States,
  whole: boolean,
): Promise<string[]> {
  const info = await streamInfo(broker.jsm, stream);
  if (info === undefined) throw new EddyError("EDDY_STREAM_MISSING", `stream ${stream} is gone`);
  const met = new Set<string>();
  const differing: string[] = [];
  const range = { stream, filter: `$KV.${projection}.>`, from: 1, to: info.state.last_seq };
  for await (const chunk of readRange(broker, range)) {
    for (const delivery of chunk) {
      const key = keyIn(delivery, projection);
      if (key === undefined) continue;
      met.add(key);
      if (isToBeWritten(delivery, states.text(key), states.marks(key), whole)) differing.push(key);
    }
  }
  for (const key of states.keys())
    if (!met.has(key) && states.text(key) !== "") differing.push(key);
  return differing;
}

// The bucket's stream holds more than entries, and a range may give more than its filter.
function keyIn({ natsSubject }: Delivery, projection: string): string | undefined {
  const prefix = `$KV.${projection}.`;
  return natsSubject.startsWith(prefix) ? untoken(natsSubject.slice(prefix.length)) : undefined;
}

function isToBeWritten(
  { raw, headerLength }: Delivery,
  text: string | undefined,
  marks: string,
  whole: boolean,
) {
  const isThere = raw.byteLength > headerLength;
  if (text === undefined) return whole && isThere;
  if (text === "" || !isThere) return isThere !== (text !== "");
  if (marksIn(parseHeaderBlock(raw.subarray(0, headerLength))) !== marks) return true;
  const now = Buffer.from(raw.buffer, raw.byteOffset + headerLength, raw.byteLength - headerLength);
  const stored = now.toString();
  return stored !== text && !isSameValue(stored, text);
}

// Another order of fields is no change that anybody should be told.
function isSameValue(stored: string, text: string): boolean {
  try {
    return isDeepStrictEqual(JSON.parse(stored), JSON.parse(text));
  } catch {
    return false; // somebody else has written no JSON there
  }
}
