// Events that are stored on home and hub in turns, in one order that everybody can see.
import { type Broker, readMessage, storeBatch } from "../../runtime/broker/index.ts";
import {
  type CloudEvent,
  encodeMessage,
  eventSubject,
  keyOf,
  type Position,
} from "../../runtime/events/index.ts";
import { eventually } from "./eventually.ts";
import { hubRoot, hubStream, untilHubHas } from "./hub.ts";
import { produce } from "./pipeline.ts";

/** An event, and the stream that takes it. */
export interface ForStream {
  readonly stream: string;
  readonly event: CloudEvent;
}

export interface AtPlace extends ForStream {
  readonly position: Position;
  readonly storedMs: number;
}

/** Stores events in HUB, one after the other; resolves once they are there. */
export async function produceInHub(
  { nc, jsm }: Pick<Broker, "nc" | "jsm">,
  events: readonly CloudEvent[],
): Promise<void> {
  const before = (await jsm.streams.info(hubStream)).state.messages;
  for (const event of events) {
    const natsSubject = eventSubject(event.type, keyOf(event)).replace(/^events\./, `${hubRoot}.`);
    const result = await storeBatch(nc, [{ natsSubject, ...encodeMessage(event) }], 10_000);
    if (result.kind !== "stored") throw new Error(`not stored: ${JSON.stringify(result)}`);
  }
  await untilHubHas(nc, before + events.length);
}

/** Stores events one after the other, each in a millisecond of its own. */
export async function produceInTurns(
  broker: Broker,
  events: readonly ForStream[],
): Promise<AtPlace[]> {
  const stored: AtPlace[] = [];
  for (const one of events) {
    const { stream, event } = one;
    const before = stored.at(-1)?.storedMs ?? 0;
    await eventually(() => Date.now() > before + 1);
    await (stream === hubStream ? produceInHub(broker, [event]) : produce(broker, [event]));
    const { last_seq: seq } = (await broker.jsm.streams.info(stream)).state;
    const storedMs = (await readMessage(broker.nc, stream, { seq }))?.time.getTime() ?? 0;
    stored.push({ ...one, position: { stream, seq }, storedMs });
  }
  return stored;
}
