import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../../tests/support/eventually.ts";
import { startNats } from "../../tests/support/nats.ts";
import { startProxy } from "../../tests/support/proxy.ts";
import { type Broker, connectBroker, type Delivery, readRange, storeBatch } from "./index.ts";

const total = 12_000;

async function connected(url: string) {
  const broker = await connectBroker(
    { servers: [url], name: "test", timeoutMs: 5_000 },
    { app: "test", home: "LOG" },
  );
  return Object.assign(broker, { [Symbol.asyncDispose]: () => broker.close() });
}

/** Every tenth message is on `log.rare`. */
async function fill(broker: Broker): Promise<void> {
  await broker.jsm.streams.add({ name: "LOG", subjects: ["log.>"], allow_atomic: true });
  const all = Array.from({ length: total }, (_, n) => ({
    natsSubject: n % 10 === 9 ? "log.rare" : `log.often.${n % 50}`,
    headerLines: "",
    data: new TextEncoder().encode(`${n + 1} ${"x".repeat(500)}`),
  }));
  for (let at = 0; at < total; at += 1_000)
    await storeBatch(broker.nc, all.slice(at, at + 1_000), 10_000);
}

async function seqsOf(chunks: AsyncIterable<Delivery[]>): Promise<number[]> {
  const seqs: number[] = [];
  for await (const chunk of chunks) seqs.push(...chunk.map(({ seq }) => seq));
  return seqs;
}

const upTo = (from: number, to: number, step = 1) =>
  Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, n) => from + n * step);

async function consumersOf(broker: Broker): Promise<number> {
  return (await broker.jsm.streams.info("LOG")).state.consumer_count;
}

test("A1: what a filter wants of a range, each message once and in order, with no trace left", async () => {
  await using server = await startNats();
  await using broker = await connected(server.url);
  await fill(broker);
  const range = { stream: "LOG", from: 1, to: total };
  assert.deepEqual(await seqsOf(readRange(broker, { ...range, filter: ">" })), upTo(1, total));
  const rare = { ...range, filter: "log.rare" };
  assert.deepEqual(await seqsOf(readRange(broker, rare)), upTo(10, total, 10));
  const some = { stream: "LOG", filter: ">", from: 3_000, to: 8_123 };
  assert.deepEqual(await seqsOf(readRange(broker, some)), upTo(3_000, 8_123));
  assert.deepEqual(await seqsOf(readRange(broker, { ...some, filter: "log.none" })), []);
  assert.deepEqual(await seqsOf(readRange(broker, { ...some, from: 9_000 })), []);
  for await (const _ of readRange(broker, { ...range, filter: ">" })) break; // whoever has seen enough
  assert.equal(await consumersOf(broker), 0);
});

test("A1: a connection that is cut in the middle costs no message and gives none twice", async () => {
  await using server = await startNats();
  await using broker = await connected(server.url);
  await fill(broker);
  await using proxy = await startProxy(server.port);
  await using reader = await connected(proxy.url);
  const seqs: number[] = [];
  let cuts = 0;
  for await (const chunk of readRange(reader, { stream: "LOG", filter: ">", from: 1, to: total })) {
    seqs.push(...chunk.map(({ seq }) => seq));
    if (cuts++ >= 3) continue;
    proxy.set({ kind: "cut" });
    proxy.set({ kind: "open" });
  }
  assert.ok(cuts > 3, "it was not cut three times");
  assert.deepEqual(seqs, upTo(1, total));
});

test("A2: it ends where the rest is removed while it is read", async () => {
  await using server = await startNats();
  await using broker = await connected(server.url);
  await fill(broker);
  const seqs: number[] = [];
  for await (const chunk of readRange(broker, { stream: "LOG", filter: ">", from: 1, to: total })) {
    if (seqs.length === 0) await broker.jsm.streams.purge("LOG");
    seqs.push(...chunk.map(({ seq }) => seq));
  }
  assert.deepEqual(seqs, upTo(1, seqs.length));
  await eventually(async () => (await consumersOf(broker)) === 0);
});
