// What the measured events are, and how a home stream comes to hold them.
import {
  connectBroker,
  ensureStream,
  homeStreamConfig,
  storeBatch,
} from "../runtime/broker/index.ts";
import { encodeMessage, eventSubject } from "../runtime/events/index.ts";
import type { Template } from "./stores.ts";

export interface Backlog {
  readonly events: number;
  readonly keys: number;
  /** Types that the events are of, in turn. */
  readonly types: number;
}

export const home = "EVENTS";
export const homeMaxBytes = 32 * 2 ** 30;
/** `com.acme.measured.t0` and so on; all of them below one wildcard. */
export const typeOf = (n: number) => `com.acme.measured.t${n}`;

/** A home stream that holds the backlog and nothing else. */
export function backlogOf(backlog: Backlog): Template {
  return {
    name: JSON.stringify(backlog),
    async make({ url }) {
      const { events, keys, types } = backlog;
      await fill(url, events, (n) => ({ ...measuredEvent(n, keys), type: typeOf(n % types) }));
    },
  };
}

const perBatch = 900;

/** Stores so many events, in atomic batches. */
export async function fill(
  url: string,
  events: number,
  eventAt: (n: number) => ReturnType<typeof measuredEvent>,
): Promise<void> {
  const broker = await connectBroker(
    { servers: [url], name: "fill", timeoutMs: 5_000 },
    { app: "bench", home },
  );
  await ensureStream(broker.jsm, homeStreamConfig(home, homeMaxBytes));
  for (let from = 0; from < events; from += perBatch) {
    const batch = Array.from({ length: Math.min(perBatch, events - from) }, (_, at) => {
      const event = eventAt(from + at);
      return { natsSubject: eventSubject(event.type, event.subject), ...encodeMessage(event) };
    });
    const stored = await storeBatch(broker.nc, batch, 30_000);
    if (stored.kind !== "stored") throw new Error(`the backlog was not stored: ${stored.kind}`);
  }
  await broker.close();
}

const pad = "x".repeat(280);

/** Event n, with about 300 bytes of JSON data; its key is n modulo keys. */
export function measuredEvent(n: number, keys: number) {
  return {
    specversion: "1.0" as const,
    id: String(n),
    source: "/bench",
    type: typeOf(0),
    subject: String(n % keys),
    datacontenttype: "application/json",
    extensions: {},
    data: { n, pad },
  };
}

/** Of events that carry a state and have a compacted home. */
export const stateType = "com.acme.measured.state";

/** Data of update n of so many keys, in turn. */
export function stateDataOf(n: number, keys: number) {
  return { key: String(n % keys), n, pad };
}
