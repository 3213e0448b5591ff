import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../../tests/support/eventually.ts";
import { startNats, type TestNats } from "../../tests/support/nats.ts";
import { storeBatch } from "./batch.ts";
import { AckPolicy } from "./client.ts";
import { type Broker, connectBroker } from "./connect.ts";
import { consumerInfo, durable, ensureConsumer } from "./consumers.ts";
import { readDurable } from "./durable-read.ts";
import { joinReaders, shareOf } from "./prefetch.ts";
import { ensureStream, homeStreamConfig } from "./streams.ts";

const stream = "EVENTS";
const name = "reader";

async function connected(nats: TestNats) {
  const options = { servers: [nats.url], name: "test", timeoutMs: 5_000 };
  const broker = await connectBroker(options, { app: "test", home: stream });
  await ensureStream(broker.jsm, homeStreamConfig(stream, 500_000_000));
  const ack = { ack_policy: AckPolicy.All, max_ack_pending: 100_000 };
  await ensureConsumer(broker.jsm, stream, { ...durable, ...ack, durable_name: name });
  return Object.assign(broker, { [Symbol.asyncDispose]: () => broker.close() });
}

async function store(broker: Broker, sizes: readonly number[]): Promise<void> {
  for (const size of sizes) {
    const message = { natsSubject: "events.t.k", headerLines: "", data: Buffer.alloc(size, "x") };
    assert.equal((await storeBatch(broker.nc, [message], 10_000)).kind, "stored");
  }
}

test("R1: where each reader's share is small, events of every size come, in order, up to the largest", async () => {
  await using nats = await startNats();
  await using broker = await connected(nats);
  for (let reader = 0; reader < 1_000; reader++) joinReaders(broker.nc);
  assert.equal(shareOf(broker.nc), 64 * 1024);
  const sizes = [10, 1_000_000, 70_000, 10, 65_000, 500_000, 1_000_000, ...Array(500).fill(900), 7];
  await store(broker, sizes);
  const came: number[] = [];
  const read = readDurable(broker, stream, name, ({ deliverySeq, data }) => {
    assert.equal(deliverySeq, came.length + 1);
    came.push(data.byteLength);
  });
  await eventually(() => came.length === sizes.length, { timeoutMs: 20_000 });
  assert.deepEqual(came, sizes);
  read.stop();
});

test("a server has no more on its way to a reader than its share, however slow that is", async () => {
  await using nats = await startNats();
  await using broker = await connected(nats);
  await store(broker, Array(600).fill(20_000));
  for (let reader = 0; reader < 47; reader++) joinReaders(broker.nc); // half a megabyte each
  let came = 0;
  const read = readDurable(
    broker,
    stream,
    name,
    () => {
      came++;
    },
    () => came === 0, // it asks once
  );
  await eventually(() => came > 0);
  const settled = await eventually(async () => {
    const info = await consumerInfo(broker.jsm, stream, name);
    return info?.delivered.consumer_seq === came && info.num_waiting === 0 ? info : undefined;
  });
  assert.ok(settled.num_ack_pending * 20_000 <= shareOf(broker.nc), `${came} came`);
  read.stop();
});

test("a reader that had no room reads on when there is some again", async () => {
  await using nats = await startNats();
  await using broker = await connected(nats);
  await store(broker, Array(50).fill(10));
  let room = false;
  let came = 0;
  const read = readDurable(
    broker,
    stream,
    name,
    () => {
      came++;
    },
    () => room,
  );
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(came, 0);
  room = true;
  read.more();
  await eventually(() => came === 50, { timeoutMs: 500 });
  read.stop();
});

test("R2: what a restarted server has forgotten is asked again", async () => {
  await using nats = await startNats();
  await using broker = await connected(nats);
  await store(broker, [1, 2, 3]);
  let came = 0;
  const read = readDurable(broker, stream, name, (delivery) => {
    came++;
    delivery.ack();
  });
  await eventually(() => came === 3);
  await nats.kill();
  await nats.restart();
  await eventually(() => store(broker, [4]).then(() => true), { timeoutMs: 10_000 });
  await eventually(() => came >= 4, { timeoutMs: 10_000 });
  read.stop();
});

test("a reader whose consumer is deleted, or that throws, says so and ends", async () => {
  await using nats = await startNats();
  await using broker = await connected(nats);
  const read = readDurable(broker, stream, name, () => {});
  await broker.jsm.consumers.delete(stream, name);
  assert.match(await read.broken, /consumer (is gone|deleted)/i);
  await ensureConsumer(broker.jsm, stream, {
    ...durable,
    ack_policy: AckPolicy.All,
    durable_name: name,
  });
  const throwing = readDurable(broker, stream, name, () => {
    throw new Error("no such slot");
  });
  await store(broker, [1]);
  assert.match(await throwing.broken, /no such slot/);
});
