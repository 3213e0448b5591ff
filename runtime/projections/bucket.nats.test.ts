import assert from "node:assert/strict";
import { test } from "node:test";
import { Kvm } from "@nats-io/kv";
import { startNats } from "../../tests/support/nats.ts";
import { connectBroker } from "../broker/index.ts";
import type { Fact } from "../pipeline/index.ts";
import { ensureBucket } from "./bucket.ts";

async function connected(url: string) {
  const broker = await connectBroker(
    { servers: [url], name: "t", timeoutMs: 5_000 },
    { app: "test", home: "EVENTS" },
  );
  const facts: Fact[] = [];
  return {
    ...{ broker, facts },
    ensure: (name: string) => ensureBucket(broker, name, (fact) => facts.push(fact)),
    config: async (name: string) => (await broker.jsm.streams.info(`KV_${name}`)).config,
    [Symbol.asyncDispose]: () => broker.close(),
  };
}

test("an empty bucket of somebody else, with another history, becomes the projection's, and that is said once", async () => {
  await using nats = await startNats();
  await using of = await connected(nats.url);
  await new Kvm(of.broker.nc).create("places", { history: 5 });
  await of.ensure("places");
  const { subjects, max_msgs_per_subject } = await of.config("places");
  assert.deepEqual([subjects.includes("cursor.places"), max_msgs_per_subject], [true, 1]);
  const [said] = of.facts;
  assert.ok(said?.kind === "trouble" && said.code === "EDDY_BUCKET_ADOPTED");
  assert.match(said.message, /no subject for the projection's cursor; it kept 5 revisions/);
  const before = of.facts.length;
  await of.ensure("places");
  assert.equal(of.facts.length, before);
});

test("B1: a bucket with entries of somebody else is refused and left as it is", async () => {
  await using nats = await startNats();
  await using of = await connected(nats.url);
  const kv = await new Kvm(of.broker.nc).create("places", { history: 3 });
  await kv.put("ann", "oslo");
  await assert.rejects(of.ensure("places"), { code: "EDDY_BUCKET_FOREIGN" });
  const { subjects, max_msgs_per_subject } = await of.config("places");
  assert.deepEqual([subjects, max_msgs_per_subject], [["$KV.places.>"], 3]);
  assert.equal((await kv.get("ann"))?.string(), "oslo");
  assert.deepEqual(of.facts, []);
});

test("a bucket that was made here is nobody else's", async () => {
  await using nats = await startNats();
  await using of = await connected(nats.url);
  await of.ensure("places");
  await of.broker.js.publish("$KV.places.ann", '{"to":"oslo"}');
  await of.ensure("places");
  assert.deepEqual(of.facts, []);
});
