import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually } from "../../../tests/support/eventually.ts";
import { startNats } from "../../../tests/support/nats.ts";
import { makeTestEvent } from "../../../tests/support/pipeline.ts";
import {
  type Broker,
  connectBroker,
  type Delivery,
  ensureStream,
  homeStreamConfig,
  identitiesStream,
  identitiesStreamConfig,
  readDelivery,
  readOrdered,
  storeBatch,
  streamInfo,
} from "../../broker/index.ts";
import { encodeMessage, eventSubject } from "../../events/index.ts";
import type { Hash64 } from "./hash.ts";
import { type Identities, startIdentities } from "./identities.ts";

const limits = { countMax: 100_000, ageMs: 3_600_000 };

async function connected(url: string) {
  const broker = await connectBroker(
    { servers: [url], name: "test", timeoutMs: 5_000 },
    { app: "test", home: "EVENTS" },
  );
  await ensureStream(broker.jsm, homeStreamConfig("EVENTS", 500_000_000));
  await ensureStream(broker.jsm, identitiesStreamConfig);
  return Object.assign(broker, { [Symbol.asyncDispose]: () => broker.close() });
}

async function store(broker: Broker, ids: readonly string[]): Promise<void> {
  for (let from = 0; from < ids.length; from += 900) {
    const batch = ids.slice(from, from + 900).map((id) => ({
      natsSubject: eventSubject("t", id),
      ...encodeMessage(makeTestEvent("t", id, {})),
    }));
    assert.equal((await storeBatch(broker.nc, batch, 10_000)).kind, "stored");
  }
}

async function isSilent({ nc }: Broker): Promise<boolean> {
  const answer = nc.flush().then(() => false);
  return await Promise.race([answer, sleep(300).then(() => true)]);
}

async function createdMsOf(broker: Broker): Promise<number> {
  return Date.parse((await streamInfo(broker.jsm, "EVENTS"))?.created ?? "");
}

async function deliveriesOf(broker: Broker, count: number): Promise<Delivery[]> {
  const found: Delivery[] = [];
  const stop = await readOrdered(broker, {
    stream: "EVENTS",
    filter: "events.>",
    fromSeq: 1,
    onMessage: (message) => found.push(readDelivery(message)),
    onBroken: (why) => assert.fail(why),
  });
  await eventually(() => found.length === count, { timeoutMs: 10_000 });
  await stop();
  return found;
}

/** Wants the last position, as a handler does, and gives the verdicts once all are known. */
async function verdicts(broker: Broker, identities: Identities, last: number): Promise<number[]> {
  const created = await createdMsOf(broker);
  const [delivery] = (await deliveriesOf(broker, last)).slice(-1);
  if (delivery !== undefined) identities.deliver(created, delivery);
  const all = Array.from({ length: last }, (_, at) => at + 1);
  await eventually(() => all.every((seq) => identities.knows(created, seq)), { timeoutMs: 10_000 });
  return Array.from({ length: last }, (_, at) => identities.repeatOf(at + 1));
}

const ids = Array.from({ length: 3_000 }, (_, n) => `e${n % 2_500}`); // the last 500 are repeats
const expected = ids.map((_, at) => (at < 2_500 ? 0 : at - 2_500 + 1));

test("I1: what nobody brings is read from the log, and pieces that come out of turn find their place", async () => {
  await using nats = await startNats();
  await using broker = await connected(nats.url);
  await store(broker, ids);
  const identities = await startIdentities(broker, "EVENTS", limits, () => {});
  const created = await createdMsOf(broker);
  const deliveries = await deliveriesOf(broker, ids.length);
  // A handler that reads every third event, and one far ahead of it: between them nobody reads.
  for (const [at, delivery] of deliveries.entries())
    if (at % 3 === 0 && at < 1_000) identities.deliver(created, delivery);
  for (const delivery of deliveries.slice(2_000, 2_100).reverse())
    identities.deliver(created, delivery);
  assert.deepEqual(await verdicts(broker, identities, ids.length), expected);
  await identities.stop();
});

test("what is delivered in a row is known at once, without a reader of its own", async () => {
  await using nats = await startNats();
  await using broker = await connected(nats.url);
  const identities = await startIdentities(broker, "EVENTS", limits, () => {});
  await store(broker, ids);
  const created = await createdMsOf(broker);
  const deliveries = await deliveriesOf(broker, ids.length);
  for (const delivery of deliveries.slice(0, 2_500)) {
    identities.deliver(created, delivery);
    assert.ok(identities.knows(created, delivery.seq));
  }
  assert.equal((await streamInfo(broker.jsm, "EVENTS"))?.state.consumer_count, 0);
  await identities.stop();
});

test("verdicts are the same after a restart: from blocks, without them, and with blocks that are none", async () => {
  await using nats = await startNats();
  await using broker = await connected(nats.url);
  await store(broker, ids.slice(0, 2_700));
  const first = await startIdentities(broker, "EVENTS", limits, () => {});
  await verdicts(broker, first, 2_700);
  await first.stop(); // saves its block
  await store(broker, ids.slice(2_700));
  for (const spoil of [
    async () => {},
    async () => void (await broker.js.publish("identities.test.EVENTS", "no block")),
    async () => void (await broker.jsm.streams.purge(identitiesStream)),
  ]) {
    await spoil();
    const again = await startIdentities(broker, "EVENTS", limits, () => {});
    assert.deepEqual(await verdicts(broker, again, ids.length), expected);
    await again.stop();
  }
});

test("a short tail is read at the start, before anybody asks; a long one is left to the handlers", async () => {
  await using nats = await startNats();
  await using broker = await connected(nats.url);
  await store(broker, ids);
  const created = await createdMsOf(broker);
  const first = await startIdentities(broker, "EVENTS", limits, () => {});
  await eventually(() => first.knows(created, ids.length));
  await first.stop();
  await store(
    broker,
    Array.from({ length: 17_000 }, (_, n) => `more${n}`),
  );
  const second = await startIdentities(broker, "EVENTS", limits, () => {});
  await sleep(500);
  assert.equal(second.size, 2_500);
  await second.stop();
});

test("G3: far behind, records are read along with the events; where most of the stream is records, only events are", async () => {
  for (const { perEvent, filters } of [
    { perEvent: 0, filters: [""] },
    { perEvent: 3, filters: ["", "events.>"] },
  ]) {
    await using nats = await startNats();
    await using broker = await connected(nats.url);
    const asked: string[] = [];
    const root = "$JS.API.CONSUMER.CREATE.EVENTS.";
    broker.nc.subscribe(`${root}>`, {
      callback: (_, { subject }) => {
        asked.push(subject.slice(root.length).replace(/^[^.]+\.?/, ""));
      },
    });
    const ids = Array.from({ length: 4_000 }, (_, n) => `id-${n % 3_999}`); // the last one repeats the first
    if (perEvent === 0) await store(broker, ids);
    else await storeWithRecords(broker, ids, perEvent);
    const identities = await startIdentities(broker, "EVENTS", limits, () => {});
    const last = (await streamInfo(broker.jsm, "EVENTS"))?.state.last_seq ?? 0;
    const createdMs = await createdMsOf(broker);
    await eventually(() => identities.knows(createdMs, last - perEvent));
    assert.equal(identities.size, 3_999);
    assert.equal(identities.repeatOf(last - perEvent), 1);
    assert.deepEqual(asked, filters);
    await identities.stop();
  }
});

async function storeWithRecords(broker: Broker, ids: readonly string[], perEvent: number) {
  const record = { natsSubject: "ledger.test.h", headerLines: "", data: new Uint8Array(8) };
  for (let from = 0; from < ids.length; from += 200) {
    const batch = ids
      .slice(from, from + 200)
      .flatMap((id) => [
        { natsSubject: eventSubject("t", id), ...encodeMessage(makeTestEvent("t", id, {})) },
        ...Array.from({ length: perEvent }, () => record),
      ]);
    assert.equal((await storeBatch(broker.nc, batch, 10_000)).kind, "stored");
  }
}

test("a stop saves all that is known, also while a block is being saved, and in whole blocks", async () => {
  await using nats = await startNats();
  await using broker = await connected(nats.url);
  await store(broker, ["first"]);
  const created = await createdMsOf(broker);
  const first = await startIdentities(broker, "EVENTS", limits, () => {});
  await eventually(() => first.knows(created, 1));
  for (let from = 2; from < 70_000; from += 100) {
    const some = Array.from({ length: 100 }, (_, n) => ({ source: "/s", id: `${from + n}` }));
    first.stored(from, some);
    if (from < 50_000 && from % 5_000 === 2) await sleep(1); // blocks are saved meanwhile
  }
  await first.stop();
  const blocks = (await streamInfo(broker.jsm, identitiesStream))?.state.messages ?? 0;
  const second = await startIdentities(broker, "EVENTS", limits, () => {});
  assert.equal(second.size, 70_001);

  assert.ok(blocks <= 6, `${blocks} blocks`);
  await second.stop();
});

test("I2: with a hash that tells nothing apart no event is lost, and a repeat of the last one is still found", async () => {
  const weak = (): Hash64 => ({ hi: 1, lo: 1 });
  await using nats = await startNats();
  await using broker = await connected(nats.url);
  await store(broker, ["a", "b", "c", "c", "d", "e"]);
  const identities = await startIdentities(broker, "EVENTS", limits, () => {}, weak);
  assert.deepEqual(await verdicts(broker, identities, 6), [0, 0, 0, 3, 0, 0]);
  await identities.stop();
});

test("what leaves the window by count is counted, and its repeat is not recognised any more", async () => {
  await using nats = await startNats();
  await using broker = await connected(nats.url);
  await store(broker, ids);
  const small = { ...limits, countMax: 1_000 };
  const identities = await startIdentities(broker, "EVENTS", small, () => {});
  const found = await verdicts(broker, identities, ids.length);
  assert.ok(found.every((first) => first === 0));
  assert.equal(identities.size, 1_000);
  assert.equal(identities.left, 2_000);
  await identities.stop();
});

test("V1: what is brought while an original cannot be read does not overtake the open verdicts", async () => {
  await using nats = await startNats();
  await using broker = await connected(nats.url);
  const broken: string[] = [];
  const identities = await startIdentities(broker, "EVENTS", limits, (fact) => {
    if (fact.kind === "trouble") broken.push(fact.message);
  });
  await store(broker, ["a", "b", "a", "c", "b"]);
  const created = await createdMsOf(broker);
  const [a, b, again, c, last] = await deliveriesOf(broker, 5);
  assert.ok(a && b && again && c && last);
  identities.deliver(created, a);
  identities.deliver(created, b);
  process.kill(nats.pid, "SIGSTOP");
  await eventually(() => isSilent(broker)); // on a busy machine it answers for a moment longer
  identities.deliver(created, again); // its original is asked for, and the server does not answer
  await eventually(() => broken.length > 0, { timeoutMs: 60_000 });
  identities.deliver(created, c);
  process.kill(nats.pid, "SIGCONT");
  identities.deliver(created, last);
  await eventually(() => [1, 2, 3, 4, 5].every((seq) => identities.knows(created, seq)), {
    timeoutMs: 60_000,
  });
  const found = [1, 2, 3, 4, 5].map((seq) => identities.repeatOf(seq));
  assert.deepEqual(found, [0, 0, 1, 0, 2]);
  await identities.stop();
});
