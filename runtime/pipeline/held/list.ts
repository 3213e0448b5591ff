// Held keys as an operator sees them, read from the server alone: no runtime needs to run.
import { type Broker, readMessage } from "../../broker/index.ts";
import type { Position } from "../../events/index.ts";
import { placeNamed } from "../ledger/place.ts";
import { letterOf } from "../retry/letters.ts";
import { readHandlers } from "../status.ts";
import { listParked } from "./parking.ts";
import { readAllHeld } from "./records.ts";
import type { Held } from "./states.ts";

/** A held key as an operator sees it. */
export interface HeldRow {
  readonly handler: string;
  readonly key: string;
  readonly state: Held["kind"];
  /** The event that holds it; absent while what was parked runs. */
  readonly by?: {
    readonly source: string;
    readonly id: string;
    readonly stream: string;
    readonly seq: number;
  };
  /** The attempt that it waits for, and when that is due, RFC 3339. */
  readonly attempt?: number;
  readonly due?: string;
  /** Its dead letter, where that is still there. */
  readonly letter?: number;
  /** Events that are parked behind it. */
  readonly parked: number;
  /** RFC 3339. */
  readonly since: string;
}

/** Held keys of this app by handler, longest held first. */
export async function listHeldKeys(broker: Broker, only?: string): Promise<HeldRow[]> {
  const rows: HeldRow[] = [];
  for (const { name, kind } of await readHandlers(broker)) {
    if (kind === "state") continue; // it asks for no order
    if (only === undefined || name === only) rows.push(...(await rowsOf(broker, name, kind)));
  }
  return rows;
}

async function rowsOf(broker: Broker, handler: string, kind: "reaction" | "projection") {
  const place = placeNamed(kind, handler, broker);
  const ledger = await readMessage(broker.nc, place.stream, { last_by_subj: place.ledger });
  if (ledger === undefined) return [];
  const [records, parked] = await Promise.all([
    readAllHeld(broker, place, ledger.seq),
    listParked(broker, handler),
  ]);
  const rows: HeldRow[] = [];
  for (const [lane, { key, held, sinceMs }] of records) {
    if (held.kind === "free") continue;
    rows.push({
      handler,
      key,
      state: held.kind,
      ...(held.kind === "draining" ? {} : { by: namedBy(held.by) }),
      ...(held.kind === "waiting"
        ? { attempt: held.attempt, due: new Date(held.dueMs).toISOString() }
        : {}),
      ...(held.kind === "dead" ? await letterIn(broker, handler, held.by.position) : {}),
      parked: parked.get(lane)?.length ?? 0,
      since: new Date(sinceMs).toISOString(),
    });
  }
  return rows.sort((a, b) => (a.since < b.since ? -1 : 1));
}

function namedBy({ position, source, id }: Extract<Held, { by: unknown }>["by"]) {
  return { source, id, stream: position.stream, seq: position.seq };
}

async function letterIn(broker: Broker, handler: string, position: Position) {
  const letter = await letterOf(broker, handler, position);
  return letter === undefined ? {} : { letter };
}
