import assert from "node:assert/strict";
import { test } from "node:test";
import { startNats } from "../../tests/support/nats.ts";
import { type Broker, connectBroker, readMerged } from "./index.ts";

async function connected(url: string) {
  const broker = await connectBroker(
    { servers: [url], name: "test", timeoutMs: 5_000 },
    { app: "test", home: "LOG" },
  );
  return Object.assign(broker, { [Symbol.asyncDispose]: () => broker.close() });
}

const streams = ["A", "B", "EMPTY"];
const total = 3_000;

/** Stores on A and B in turns of different lengths; the order in which they were stored. */
async function fill({ jsm, nc }: Broker): Promise<string[]> {
  for (const name of streams) await jsm.streams.add({ name, subjects: [`${name}.>`] });
  const order: string[] = [];
  for (let stored = 0, turn = 0; stored < total; turn++) {
    const stream = turn % 2 === 0 ? "A" : "B";
    const count = 1 + ((turn * 7) % 400);
    const acks = Array.from({ length: count }, () => nc.request(`${stream}.x`, ""));
    for (const ack of await Promise.all(acks))
      order.push(`${stream} ${ack.json<{ seq: number }>().seq}`);
    stored += count;
    await new Promise((resolve) => setTimeout(resolve, 2)); // another millisecond for the next turn
  }
  return order;
}

test("several streams come in the order in which they were stored, each once, and nothing is left open", async () => {
  await using server = await startNats();
  await using broker = await connected(server.url);
  const order = await fill(broker);
  const ranges = streams.map((stream) => ({ stream, filter: ">", from: 1 }));
  const read: string[] = [];
  for await (const { stream, deliveries } of readMerged(broker, ranges)) {
    assert.notEqual(deliveries.length, 0);
    read.push(...deliveries.map(({ seq }) => `${stream} ${seq}`));
  }
  assert.deepEqual(read, order);
  for await (const _ of readMerged(broker, ranges)) break; // whoever has seen enough
  for (const stream of streams)
    assert.equal((await broker.jsm.streams.info(stream)).state.consumer_count, 0);
});

test("a stream that cannot be read ends the whole, and leaves nothing open", async () => {
  await using server = await startNats();
  await using broker = await connected(server.url);
  await fill(broker);
  const ranges = ["A", "GONE"].map((stream) => ({ stream, filter: ">", from: 1 }));
  const reading = async () => {
    for await (const _ of readMerged(broker, ranges));
  };
  await assert.rejects(reading, /stream not found/);
  assert.equal((await broker.jsm.streams.info("A")).state.consumer_count, 0);
});
