// What all the deliveries have led to, read from the server: counts, entries with their revisions, dead letters.
// E1 A reading is taken when nothing is in flight: every handler has settled all that it wants, and the stream has
//    not grown while that was looked at, so that no handler can have emitted for another one meanwhile.
import { type Broker, streamInfo } from "../../runtime/broker/index.ts";
import { type HandlerRow, listLetters, readHandlers } from "../../runtime/pipeline/index.ts";
import { openProjectionReader, type ProjectionReader } from "../../runtime/projections/index.ts";
import { eventually } from "../support/eventually.ts";

export interface Effects {
  readonly handlers: readonly HandlerRow[];
  readonly projections: readonly { readonly name: string; readonly entries: number }[];
  readonly dead: number;
  /** Messages on `events.>` that were not stored by a pass: what handlers have emitted. */
  readonly emitted: number;
  /** Revision by projection and key. */
  readonly revisions: ReadonlyMap<string, number>;
}

const catchUpMs = 60_000;
const pageSize = 1_000;

/** Waits until every one of these handlers consumes: a reaction begins with what comes after that. */
export async function untilRunning(broker: Broker, names: readonly string[]): Promise<void> {
  await eventually(
    async () => {
      const running = (await readHandlers(broker)).filter((row) => row.state === "running");
      const missing = names.filter((name) => !running.some((row) => row.name === name));
      if (missing.length > 0) throw new Error(`not running: ${missing.join(", ")}`);
      return true;
    },
    { timeoutMs: 30_000, what: "that all handlers run" },
  );
}

/** The effects of what was stored, once nothing is in flight any more (E1). */
export async function effectsWhenSettled(broker: Broker, stored: number): Promise<Effects> {
  const { handlers, events } = await eventually(() => settled(broker), {
    timeoutMs: catchUpMs,
    what: "that the handlers have caught up",
  });
  const reader = await openProjectionReader(broker.nc, broker);
  const projections = await reader.list();
  const revisions = new Map<string, number>();
  for (const { name } of projections) {
    for (const key of await keysOf(reader, name)) {
      revisions.set(`${name}/${key}`, (await reader.get(name, key))?.revision ?? 0);
    }
  }
  const dead = (await listLetters(broker, {})).length;
  return { handlers, projections, dead, emitted: events - stored, revisions };
}

async function settled(broker: Broker) {
  const events = await countEvents(broker);
  const handlers = await readHandlers(broker);
  const busy = handlers.filter((row) => row.lag > 0 || row.retrying > 0 || inFlight(row) !== 0);
  if (busy.length > 0) {
    const rows = busy.map(
      ({ name, lag, retrying }) => `${name} (lag ${lag}, retrying ${retrying})`,
    );
    throw new Error(`busy: ${rows.join(", ")}`);
  }
  if ((await countEvents(broker)) !== events) throw new Error("the stream still grows");
  return { handlers, events };
}

function inFlight(row: HandlerRow): number {
  const { delivered, handled, duplicate, filtered, expired, retrying, dead } = row;
  return delivered - handled - duplicate - filtered - expired - retrying - dead;
}

async function countEvents(broker: Broker): Promise<number> {
  const info = await streamInfo(broker.jsm, broker.home, { subjects_filter: "events.>" });
  return Object.values(info?.state.subjects ?? {}).reduce((sum, count) => sum + count, 0);
}

async function keysOf(reader: ProjectionReader, name: string): Promise<readonly string[]> {
  const keys: string[] = [];
  for (let after: string | undefined; ; after = keys.at(-1)) {
    const page = await reader.keys(name, {
      limit: pageSize,
      ...(after === undefined ? {} : { after }),
    });
    keys.push(...(page?.keys ?? []));
    if (page?.next === undefined) return keys;
  }
}

/** What the second reading has that the first had not, a line each. */
export function differences(before: Effects, after: Effects): string[] {
  const found: string[] = [];
  const compare = (what: string, was: number, is: number) => {
    if (was !== is) found.push(`${what}: ${was} before, ${is} after`);
  };
  compare("emitted events", before.emitted, after.emitted);
  compare("dead letters", before.dead, after.dead);
  for (const row of after.handlers) {
    const was = before.handlers.find(({ name }) => name === row.name);
    compare(`handled by ${row.name}`, was?.handled ?? 0, row.handled);
  }
  for (const entry of new Set([...before.revisions.keys(), ...after.revisions.keys()])) {
    const [was, is] = [before.revisions.get(entry) ?? 0, after.revisions.get(entry) ?? 0];
    compare(`revision of ${entry}`, was, is);
  }
  return found;
}
