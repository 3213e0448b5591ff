// Whose a ledger is by its last record.
import { type Broker, readMessage } from "../../broker/index.ts";
import { EddyError } from "../../events/index.ts";
import type { Place } from "./place.ts";
import { decodeRecord } from "./record.ts";

/** `unknown`: the server does not say. */
export type Holder = "own" | "another" | "nobody" | "unknown";

export async function holderOf(broker: Broker, place: Place, instance: string): Promise<Holder> {
  try {
    const last = await readMessage(broker.nc, place.stream, { last_by_subj: place.ledger });
    if (last === undefined) return "nobody";
    return decodeRecord(last.data).instance === instance ? "own" : "another";
  } catch (error) {
    const foreign = error instanceof EddyError && error.code === "EDDY_LEDGER_UNREADABLE";
    return foreign ? "another" : "unknown";
  }
}
