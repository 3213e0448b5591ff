// Durable consumers: made where missing, changed where their configuration differs, wound to a position.
import {
  AckPolicy,
  type ConsumerConfig,
  type ConsumerInfo,
  DeliverPolicy,
  JetStreamApiError,
  type JetStreamManager,
} from "./client.ts";

const notFound = new Set([10014, 10059]); // the consumer, or its stream

type Wanted = Partial<ConsumerConfig> & { readonly durable_name: string };

/** The settings that all of the runtime's durables share. The ledger counts, so the server never gives up. */
export const durable = {
  deliver_policy: DeliverPolicy.All, // with any other a reset below the start is refused
  max_deliver: -1,
} as const;

export { AckPolicy };

/** Makes the consumer or brings its changeable settings in line. */
export async function ensureConsumer(
  jsm: JetStreamManager,
  stream: string,
  wanted: Wanted,
): Promise<ConsumerInfo> {
  const present = await consumerInfo(jsm, stream, wanted.durable_name);
  if (present === undefined) return await jsm.consumers.add(stream, wanted);
  const changes: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(wanted)) {
    const now: unknown = Reflect.get(present.config, name);
    if (name === "metadata" ? !holds(now, value) : JSON.stringify(now) !== JSON.stringify(value)) {
      changes[name] = value;
    }
  }
  if (Object.keys(changes).length === 0) return present;
  if ("ack_policy" in changes || "deliver_policy" in changes) {
    await jsm.consumers.delete(stream, wanted.durable_name);
    return await jsm.consumers.add(stream, wanted);
  }
  return await jsm.consumers.update(stream, wanted.durable_name, changes);
}

/** Winds it to a stream sequence: its deliveries are numbered from 1 again, and what was not acked is forgotten. */
export async function windConsumer(
  jsm: JetStreamManager,
  stream: string,
  name: string,
  seq: number,
): Promise<ConsumerInfo> {
  const wound = await jsm.consumers.reset(stream, name, seq);
  if (wound.name !== name) throw new Error(`consumer ${name} was not reset`);
  return wound;
}

// The server adds metadata of its own.
function holds(present: unknown, wanted: unknown): boolean {
  if (typeof present !== "object" || present === null) return false;
  return Object.entries(wanted as object).every(
    ([name, value]) => Reflect.get(present, name) === value,
  );
}

/** The consumer's state, or undefined where there is none. */
export async function consumerInfo(
  jsm: JetStreamManager,
  stream: string,
  name: string,
): Promise<ConsumerInfo | undefined> {
  try {
    return await jsm.consumers.info(stream, name);
  } catch (error) {
    if (error instanceof JetStreamApiError && notFound.has(error.code)) return undefined;
    throw error;
  }
}
