import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { startNats } from "../../tests/support/nats.ts";
import { event, Permanent, projection } from "../authoring/index.ts";
import { connectBroker } from "../broker/index.ts";
import { openEntries } from "./write.ts";

const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer() }));
const counts = projection("counts", {
  from: [Placed],
  key: (e) => e.id,
  apply: (_, e) => e.data,
});

test("W1: a state that is not stored yet is not forgotten while as much as can be in flight is folded", async () => {
  await using nats = await startNats();
  const broker = await connectBroker(
    { servers: [nats.url], name: "t", timeoutMs: 5_000 },
    { app: "test", home: "EVENTS" },
  );
  const entries = await openEntries(broker, counts, () => {});
  entries.fold("first", { n: 1 }, "");
  for (let n = 0; n < 16_384 + 1_000; n++) entries.fold(`key-${n}`, { n }, "");
  assert.deepEqual(await entries.read("first"), { n: 1 });
  await broker.close();
});

test("an entry that is no JSON is an error that no retry can mend", async () => {
  await using nats = await startNats();
  const broker = await connectBroker(
    { servers: [nats.url], name: "t", timeoutMs: 5_000 },
    { app: "test", home: "EVENTS" },
  );
  const entries = await openEntries(broker, counts, () => {});
  await broker.js.publish("$KV.counts.k", "{");
  await assert.rejects(() => entries.read("k"), Permanent);
  await broker.close();
});
