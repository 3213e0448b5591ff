import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import { eventually } from "../../tests/support/eventually.ts";
import { startNats } from "../../tests/support/nats.ts";
import { type CloudEvent, decodeMessage, EddyError, parseHeaderBlock } from "../events/index.ts";
import type { NatsConnection } from "./client.ts";
import { createIngress, type Store } from "./ingress.ts";
import type { Pace } from "./ingress-pace.ts";
import { readMessage, type StoredMessage } from "./stored.ts";
import { ensureStream, homeStreamConfig } from "./streams.ts";

const stream = "EVENTS";

function eventOf(id: string, more: Partial<CloudEvent> = {}): CloudEvent {
  return {
    specversion: "1.0",
    id,
    source: "/s",
    type: "com.acme.x",
    extensions: {},
    data: {},
    ...more,
  };
}

async function homeOf(nc: NatsConnection, maxBytes = 100_000_000): Promise<JetStreamManager> {
  const jsm = await jetstreamManager(nc);
  await ensureStream(jsm, homeStreamConfig(stream, maxBytes));
  return jsm;
}

async function rejection(work: Promise<unknown>, code: string): Promise<EddyError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof EddyError, String(error));
    assert.equal(error.code, code);
    return error;
  }
  throw new Error("it was stored");
}

type Ingress = (nc: NatsConnection) => Store;

/** Publishes, and batches wherever there is an event: what is promised holds for both. */
const pace = (gathers: boolean): Pace => ({ gathers, batchMin: 1, answered() {}, stored() {} });

function inBothWays(name: string, body: (ingress: Ingress) => Promise<void>): void {
  test(name, () => body((nc) => createIngress(nc, { stream }, pace(false))));
  test(`${name} (in batches)`, () => body((nc) => createIngress(nc, { stream }, pace(true))));
}

inBothWays(
  "I1: what is stored stands in the home stream, under its type and key, as it was",
  async (ingress) => {
    await using nats = await startNats();
    const nc = await nats.connect();
    const jsm = await homeOf(nc);
    const odd = "a.b *>\r\n\0😀 %41";
    const events = [
      eventOf("1", { subject: odd, data: { a: 1 }, datacontenttype: "application/json" }),
      eventOf(odd, {
        source: odd,
        type: "t\r\nNats-Rollup: all",
        extensions: { partitionkey: odd },
      }),
      eventOf("x".repeat(10_000), { subject: "y".repeat(10_000) }),
    ];
    const stored = await ingress(nc)(events);
    assert.deepEqual(
      stored,
      events.map(({ id, source }, at) => ({ id, source, stream, seq: at + 1, duplicate: false })),
    );
    for (const [at, event] of events.entries()) {
      const message = await readMessage(nc, stream, { seq: at + 1 });
      assert.ok(message?.headers);
      const decoded = decodeMessage(parseHeaderBlock(message.headers), message.data);
      assert.ok(decoded.ok);
      assert.deepEqual(decoded.event, { datacontenttype: "application/json", ...event });
    }
    const first = await readMessage(nc, stream, { seq: 1 });
    assert.match(first?.natsSubject ?? "", /^events\.com\.acme\.x\.a=2Eb=20/);
    assert.equal((await jsm.streams.info(stream)).state.messages, 3);
  },
);

inBothWays(
  "I2: an event sent again is a duplicate at its first position; the same id of another source is not",
  async (ingress) => {
    await using nats = await startNats();
    const nc = await nats.connect();
    await homeOf(nc);
    const store = ingress(nc);
    const again = await store([eventOf("1"), eventOf("1", { source: "/other" }), eventOf("1")]);
    assert.deepEqual(
      again.map(({ seq, duplicate }) => [seq, duplicate]),
      [
        [1, false],
        [2, false],
        [1, true],
      ],
    );
    const [later] = await store([eventOf("1")]);
    assert.deepEqual([later?.seq, later?.duplicate], [1, true]);
    // Identities that join to the same text are different ones.
    const joined = await store([eventOf("b/c", { source: "a" }), eventOf("c", { source: "a/b" })]);
    assert.deepEqual(
      joined.map(({ duplicate }) => duplicate),
      [false, false],
    );
  },
);

inBothWays(
  "a thousand events of one request are in flight at once, also beside other requests",
  async (ingress) => {
    await using nats = await startNats({ sync: "default" });
    const nc = await nats.connect();
    await homeOf(nc);
    const store = ingress(nc);
    const batches = [0, 1, 2].map((batch) =>
      store(Array.from({ length: 1_000 }, (_, n) => eventOf(`${batch}-${n}`))),
    );
    const stored = (await Promise.all(batches)).flat();
    assert.equal(new Set(stored.map(({ seq }) => seq)).size, 3_000);
    assert.deepEqual(await store([]), []);
  },
);

inBothWays("a full stream refuses, says so and keeps what it has", async (ingress) => {
  await using nats = await startNats();
  const nc = await nats.connect();
  const jsm = await homeOf(nc, 20_000);
  const store = ingress(nc);
  await store([eventOf("1", { data: "x".repeat(15_000) })]);
  const error = await rejection(
    store([eventOf("2", { data: "x".repeat(15_000) })]),
    "EDDY_HOME_FULL",
  );
  assert.match(
    error.message,
    /EVENTS refuses com\.acme\.x \(source \/s, id 2\).*20000 bytes.*Nothing was dropped/,
  );
  assert.equal((await jsm.streams.info(stream)).state.messages, 1);
});

inBothWays(
  "an event over the server's or the stream's limit is too large, and nothing of its request is sent",
  async (ingress) => {
    await using nats = await startNats({ maxPayload: 10_000 });
    const nc = await nats.connect();
    const jsm = await homeOf(nc);
    const store = ingress(nc);
    const large = eventOf("2", { data: "x".repeat(10_000) });
    const error = await rejection(store([eventOf("1"), large]), "EDDY_EVENT_TOO_LARGE");
    assert.match(error.message, /id 2.*the server takes 10000/);
    assert.equal((await jsm.streams.info(stream)).state.messages, 0);
    await jsm.streams.update(stream, { max_msg_size: 1_000 });
    await rejection(store([eventOf("3", { data: "x".repeat(2_000) })]), "EDDY_EVENT_TOO_LARGE");
  },
);

inBothWays("without the stream, and without JetStream, it says so at once", async (ingress) => {
  await using nats = await startNats();
  await rejection(ingress(await nats.connect())([eventOf("1")]), "EDDY_HOME_MISSING");
});

inBothWays(
  "while the server is gone it refuses at once, and stores again once it is back",
  async (ingress) => {
    await using nats = await startNats();
    const nc = await nats.connect({ maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    await homeOf(nc);
    const store = ingress(nc);
    await store([eventOf("1")]);
    const flood = Array.from({ length: 2_000 }, (_, n) =>
      eventOf(`f${n}`, { data: "x".repeat(500) }),
    );
    const cut = rejection(store(flood), "EDDY_NOT_CONNECTED");
    await nats.kill();
    await cut;
    const started = performance.now();
    await rejection(store([eventOf("2")]), "EDDY_NOT_CONNECTED");
    assert.ok(performance.now() - started < 1_000);
    const back = (async () => {
      for await (const status of nc.status()) if (status.type === "reconnect") return;
    })();
    await nats.restart();
    await back;
    // Sent again: what the cut had stored is not stored twice.
    const stored = await store(flood);
    assert.equal(new Set(stored.map(({ seq }) => seq)).size, flood.length);
    const [first] = await store([eventOf("1")]);
    assert.deepEqual([first?.seq, first?.duplicate], [1, true]);
    await nc.close();
    await rejection(store([eventOf("3")]), "EDDY_NOT_CONNECTED");
  },
);

inBothWays(
  "I1: over a leaf link the answer of a hub's stream, even of the same name, does not count",
  async (ingress) => {
    const port = await freePort();
    const jetstream = (domain: string) =>
      `jetstream { domain: ${domain}, sync_interval: always }\n`;
    await using hub = await startNats({
      config: `${jetstream("hub")}leafnodes { listen: "127.0.0.1:${port}" }`,
    });
    await using leaf = await startNats({
      config: `${jetstream("leaf")}leafnodes { remotes: [{ url: "nats://127.0.0.1:${port}" }] }`,
    });
    const [far, near] = [await hub.connect(), await leaf.connect()];
    let heard = false;
    const markHeard = () => {
      heard = true;
    };
    far.subscribe("probe", { callback: markHeard });
    await eventually(() => {
      near.publish("probe");
      return heard;
    });
    const farManager = await homeOf(far);
    await homeOf(near);
    // Sequences tell the two apart.
    await ingress(far)([eventOf("a"), eventOf("b"), eventOf("c")]);
    await farManager.streams.purge(stream);
    await (await jetstreamManager(near)).streams.purge(stream);
    const store = ingress(near);
    const before = (await readSeq(near)) ?? 0;
    for (let n = 1; n <= 50; n++) {
      const [stored] = await store([eventOf(`n${n}`)]);
      assert.equal(stored?.seq, before + n);
    }
    await (await jetstreamManager(near)).streams.delete(stream);
    const alone = await rejection(store([eventOf("z")]), "EDDY_STORE_TIMEOUT");
    assert.match(alone.message, /1 of 1 events.*id z.*Only EVENTS \(domain hub\) answered/);
  },
);

test("I2, I4: many requests at once are one batch; one that is refused for a duplicate in it is sent event by event", async () => {
  await using nats = await startNats();
  const nc = await nats.connect();
  await homeOf(nc);
  const store = createIngress(nc, { stream }, pace(true));
  const request = (from: number) => store([eventOf(`e${from}`), eventOf(`e${from + 1}`)]);
  const round = async (first: number) =>
    (await Promise.all(Array.from({ length: 20 }, (_, n) => request(first + 2 * n)))).flat();
  const stored = await round(0);
  assert.deepEqual(
    stored.map(({ seq, duplicate }) => [seq, duplicate]),
    Array.from({ length: 40 }, (_, n) => [n + 1, false]),
  );
  const batchOf = async (seq: number) =>
    /Nats-Batch-Id: (\S+)/.exec(textOf(await readMessage(nc, stream, { seq })))?.[1];
  const ids = await Promise.all(stored.map(({ seq }) => batchOf(seq)));
  assert.equal(new Set(ids).size, 1);
  assert.notEqual(ids[0], undefined);

  const again = await round(30); // ten are known already
  assert.deepEqual(
    again.map(({ duplicate }) => duplicate),
    Array.from({ length: 40 }, (_, n) => n < 10),
  );
  for (const { id, seq } of again) {
    assert.match(textOf(await readMessage(nc, stream, { seq })), new RegExp(`ce-id: ${id}\\r`));
  }
});

test("with a server that syncs each message many requests side by side become batches by themselves", async () => {
  await using nats = await startNats({ sync: "always" });
  const nc = await nats.connect();
  await homeOf(nc);
  const store = createIngress(nc, { stream });
  let next = 0;
  const client = async () => {
    for (let n = next++; n < 3_000; n = next++) await store([eventOf(`e${n}`)]);
  };
  await Promise.all(Array.from({ length: 64 }, client));
  const headers = await Promise.all(
    Array.from({ length: 60 }, (_, n) => readMessage(nc, stream, { seq: 3_000 - 50 * n })),
  );
  const batched = headers.filter((message) => textOf(message).includes("Nats-Batch-Id"));
  assert.ok(batched.length > 0, "none of those looked at came in a batch");
});

function textOf(message: StoredMessage | undefined): string {
  return Buffer.from(message?.headers ?? []).toString();
}

async function readSeq(nc: NatsConnection): Promise<number> {
  return (await (await jetstreamManager(nc)).streams.info(stream)).state.last_seq;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
