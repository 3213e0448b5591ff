// Stores with a backlog, made once for each shape of it and copied for each run: every run starts from the same bytes.
import {
  connectBroker,
  ensureStream,
  homeStreamConfig,
  storeBatch,
} from "../runtime/broker/index.ts";
import { encodeMessage, eventSubject } from "../runtime/events/index.ts";
import { type BenchServer, type Sync, startServer } from "./server.ts";

export interface Backlog {
  readonly events: number;
  readonly keys: number;
  /** Types that the events are of, in turn. */
  readonly types: number;
}

export interface Stores extends AsyncDisposable {
  /** A server whose home stream holds the backlog. */
  start(backlog: Backlog, sync: Sync): Promise<BenchServer>;
}

export const home = "EVENTS";
export const homeMaxBytes = 32 * 2 ** 30;
/** `com.acme.measured.t0` and so on; all of them below one wildcard. */
export const typeOf = (n: number) => `com.acme.measured.t${n}`;

export function createStores(): Stores {
  const made = new Map<string, Promise<BenchServer>>();
  return {
    async start(backlog, sync) {
      const shape = JSON.stringify(backlog);
      const template = made.get(shape) ?? make(backlog);
      made.set(shape, template);
      return await startServer({ sync, from: (await template).storeDir });
    },
    async [Symbol.asyncDispose]() {
      for (const template of made.values()) await (await template)[Symbol.asyncDispose]();
    },
  };
}

async function make(backlog: Backlog): Promise<BenchServer> {
  const server = await startServer({ sync: "default" });
  await fill(server.url, backlog);
  await server.stop();
  return server;
}

const perBatch = 900;

/** Stores events with 300 bytes of data; event n has key n modulo keys. */
async function fill(url: string, { events, keys, types }: Backlog): Promise<void> {
  const broker = await connectBroker(
    { servers: [url], name: "fill", timeoutMs: 5_000 },
    { app: "bench", home },
  );
  await ensureStream(broker.jsm, homeStreamConfig(home, homeMaxBytes));
  for (let from = 0; from < events; from += perBatch) {
    const batch = Array.from({ length: Math.min(perBatch, events - from) }, (_, at) => {
      const n = from + at;
      const event = measuredEvent(n, keys, types);
      return {
        natsSubject: eventSubject(event.type, event.subject),
        ...encodeMessage(event),
      };
    });
    const stored = await storeBatch(broker.nc, batch, 30_000);
    if (stored.kind !== "stored") throw new Error(`the backlog was not stored: ${stored.kind}`);
  }
  await broker.close();
}

const pad = "x".repeat(280);

/** Event n: JSON data of about 300 bytes. */
function measuredEvent(n: number, keys: number, types: number) {
  return {
    specversion: "1.0" as const,
    id: String(n),
    source: "/bench",
    type: typeOf(n % types),
    subject: String(n % keys),
    datacontenttype: "application/json",
    extensions: {},
    data: { n, pad },
  };
}
