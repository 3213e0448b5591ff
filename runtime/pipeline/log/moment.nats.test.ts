import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../../../tests/support/eventually.ts";
import { addHub } from "../../../tests/support/hub.ts";
import { startNats } from "../../../tests/support/nats.ts";
import { makeTestEvent, produce, startTestPipeline } from "../../../tests/support/pipeline.ts";
import { produceInHub } from "../../../tests/support/turns.ts";
import { type Broker, readMerged, readMessage } from "../../broker/index.ts";
import { positionText } from "../../events/index.ts";
import { nameOfMoment, upToBefore, upToPosition, upToTime } from "./moment.ts";

const streams = ["EVENTS", "HUB"];

async function storedMs({ nc }: Broker, stream: string, seq: number): Promise<number> {
  return (await readMessage(nc, stream, { seq }))?.time.getTime() ?? 0;
}

test("M1: each position is a moment: what was read up to it, and no more; and a moment has its position's name", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  const { broker } = p;
  await addHub(broker.nc);
  for (let n = 0; n < 24; n++) {
    const event = makeTestEvent("com.acme.noted", `e${n}`, { n });
    if (n % 3 === 0) await produceInHub(broker, [event]);
    else await produce(broker, [event, { ...event, id: `f${n}` }]);
  }
  const ranges = streams.map((stream) => ({ stream, filter: ">", from: 1 }));
  const read = new Map(streams.map((stream) => [stream, 0]));
  const names: string[] = [];
  for await (const { stream, deliveries } of readMerged(broker, ranges)) {
    for (const { seq } of deliveries) {
      const at = { stream, seq };
      assert.deepEqual(new Map(await upToBefore(broker, streams, at)), read, positionText(at));
      read.set(stream, seq);
      assert.deepEqual(new Map(await upToPosition(broker, streams, at)), read, positionText(at));
      assert.deepEqual(await nameOfMoment(broker, streams, read), at);
      names.push(stream);
    }
  }
  assert.deepEqual([names.length, new Set(names).size], [40, 2]);
});

test("a time is the same for all streams, also for one that allows no direct gets", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  const { broker } = p;
  await addHub(broker.nc);
  await broker.jsm.streams.update("HUB", { allow_direct: false });
  const event = makeTestEvent("com.acme.noted", "e", {});
  await produce(broker, [event]);
  await produceInHub(broker, [event]);
  const first = await storedMs(broker, "HUB", 1);
  await eventually(() => Date.now() > first + 2);
  await produceInHub(broker, [event]);
  await produce(broker, [event]);
  const at = async (ms: number) => [...(await upToTime(broker, streams, ms))];
  const home = await storedMs(broker, "EVENTS", 1);
  assert.deepEqual(await at(home - 1), [
    ["EVENTS", 0],
    ["HUB", 0],
  ]);
  assert.deepEqual(await at(first), [
    ["EVENTS", 1],
    ["HUB", 1],
  ]);
  assert.deepEqual(await at(Date.now() + 60_000), [
    ["EVENTS", 2],
    ["HUB", 2],
  ]);
  await broker.jsm.streams.purge("HUB", { seq: 2 });
  assert.deepEqual(await at(first), [
    ["EVENTS", 1],
    ["HUB", 1],
  ]);
});
