// The compacted home as a test reads it, and what it has to hold: folded by the test itself from the home stream.
import { jetstream } from "@nats-io/jetstream";
import type { NatsConnection } from "nats";
import { readLog } from "./log.ts";

/** What is said of one entity: where it stands in the log, and whether it is deleted. */
export interface Said {
  readonly seq: number;
  readonly deleted: boolean;
  readonly data: unknown;
}

/** The last message of each entity, by its subject behind `state.`; tombstones as long as they are shown. */
export async function readState(nc: NatsConnection, stream = "STATE"): Promise<Map<string, Said>> {
  const said = new Map<string, Said>();
  const consumer = await jetstream(nc).consumers.get(stream, { filter_subjects: "state.>" });
  if ((await consumer.info()).num_pending === 0) return said;
  for await (const message of await consumer.consume({ max_messages: 5_000 })) {
    const seq = Number(message.headers?.get("Eddy-Position").split(":")[1]);
    const deleted = message.headers?.get("KV-Operation") === "DEL";
    const shown =
      Date.parse(message.headers?.get("Eddy-Deleted-Until") || "9999-01-01") > Date.now();
    if (shown)
      said.set(message.subject.slice("state.".length), { seq, deleted, data: message.json() });
    if (message.info.pending === 0) break;
  }
  return said;
}

/** What the compacted home of a type must hold: the last event of each entity, those of the deleting type as well. */
export async function foldState(
  nc: NatsConnection,
  { type, by, key }: { type: string; by?: string; key: string },
): Promise<Map<string, Said>> {
  const said = new Map<string, Said>();
  const known = new Set<string>();
  for (const { seq, attributes, data } of await readLog(nc)) {
    const { source, id, type: of } = attributes;
    if (of !== type && of !== by) continue;
    if (known.has(`${source} ${id}`)) continue; // a repeat
    known.add(`${source} ${id}`);
    said.set(`${type}.${Reflect.get(Object(data), key)}`, { seq, deleted: of === by, data });
  }
  return said;
}
