// Whose a ledger is by its last record.
import { type Broker, readMessage } from "../../broker/index.ts";
import { EddyError } from "../../events/index.ts";
import type { Place } from "./place.ts";
import { decodeRecord } from "./record.ts";

/** `unknown`: the server does not say. */
export type Holder = "own" | "another" | "nobody" | "unknown";

const asksMax = 5; // to take over from somebody who is there costs both more
const askAgainMs = 200;

/** The same, asked again a few times while the server does not say. */
export async function holderWhenKnown(
  broker: Broker,
  place: Place,
  instance: string,
  pause: (ms: number) => Promise<void>,
  stopped: () => boolean,
): Promise<Holder> {
  for (let asked = 0; asked < asksMax && !stopped(); asked++) {
    const holder = await holderOf(broker, place, instance);
    if (holder !== "unknown") return holder;
    await pause(askAgainMs);
  }
  return "unknown";
}

async function holderOf(broker: Broker, place: Place, instance: string): Promise<Holder> {
  try {
    const last = await readMessage(broker.nc, place.stream, { last_by_subj: place.ledger });
    if (last === undefined) return "nobody";
    return decodeRecord(last.data).instance === instance ? "own" : "another";
  } catch (error) {
    const foreign = error instanceof EddyError && error.code === "EDDY_LEDGER_UNREADABLE";
    return foreign ? "another" : "unknown";
  }
}
