// What is held when a session begins, before anything is consumed: from the records, and from parked events that no
// record names, as where a crash or the cut of the head took it.
import type { Broker } from "../../broker/index.ts";
import { type Position, type Token, untoken } from "../../events/index.ts";
import type { Place } from "../ledger/place.ts";
import { readStanding } from "../retry/standing.ts";
import { listParked } from "./parking.ts";
import { type HeldRecord, readAllHeld } from "./records.ts";
import { mended, type Policy } from "./states.ts";
import type { HeldKey } from "./table.ts";

export interface Loading {
  readonly broker: Broker;
  readonly place: Place;
  readonly handler: string;
  /** Sequence of the epoch record: nobody else adds a record after it. */
  readonly ledgerSeq: number;
  readonly policy: Policy;
}

const readAtOnce = 64;

/** The held keys; undefined where there is nothing to hold and nothing left to let go. */
export async function loadHeld(of: Loading): Promise<ReadonlyMap<Token, HeldKey> | undefined> {
  const { broker, place, handler, ledgerSeq, policy } = of;
  const [records, parked] = await Promise.all([
    readAllHeld(broker, place, ledgerSeq),
    listParked(broker, handler),
  ]);
  if (policy === "unordered" && records.size === 0 && parked.size === 0) return undefined;
  const found = new Map<Token, HeldKey>();
  const recorded = [...records];
  for (let at = 0; at < recorded.length; at += readAtOnce) {
    const some = recorded.slice(at, at + readAtOnce).map(async ([lane, record]) => {
      const held = await heldNow(of, record);
      if (held !== undefined) found.set(lane, { ...record, held, parked: parked.has(lane) });
    });
    await Promise.all(some);
  }
  for (const [lane, positions] of parked)
    if (!found.has(lane)) found.set(lane, left(lane, positions));
  return found;
}

async function heldNow({ broker, place, policy }: Loading, { held }: HeldRecord) {
  if (held.kind === "free") return undefined;
  if (held.kind === "draining") return held;
  return mended(held, await readStanding(broker.nc, place, held.by.position), policy);
}

function left(lane: Token, positions: readonly Position[]): HeldKey {
  return {
    key: untoken(lane) ?? lane,
    held: { kind: "draining" },
    parked: true,
    sinceMs: Date.now(),
    fromSeq: positions[0]?.seq ?? 0,
  };
}
