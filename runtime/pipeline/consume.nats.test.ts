// Two instances of one app on a real server: who is taken for gone, and who is not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Type } from "typebox";
import { eventually } from "../../tests/support/eventually.ts";
import { startNats } from "../../tests/support/nats.ts";
import { makeTestEvent, produce, startTestPipeline } from "../../tests/support/pipeline.ts";
import { startProxy } from "../../tests/support/proxy.ts";
import { event, on } from "../authoring/index.ts";
import { AckPolicy, consumerInfo, durable, ensureConsumer } from "../broker/index.ts";
import { untilNobodyPulls } from "./consume.ts";
import { consumerName } from "./ledger/place.ts";

const Large = event("com.acme.large", Type.Object({ pad: Type.String() }));
const pad = "x".repeat(900_000);
const events = 60;

test("C1: who holds so much that it does not pull is not taken for gone", async () => {
  await using nats = await startNats();
  await using first = await startTestPipeline(nats);
  let release: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow = on(Large, { start: "first", deadline: "5m" }, () => gate);
  await first.run({ slow });
  await using second = await startTestPipeline(nats);
  await second.run({ slow }); // it takes over, and the first one stands by
  const stateOf = (p: typeof first) => p.pipeline.status().map(({ state }) => state);
  await eventually(() => stateOf(first)[0] === "standby", { timeoutMs: 20_000 });
  await produce(
    first.broker,
    Array.from({ length: events }, (_, n) => makeTestEvent(Large.type, `e${n}`, { pad })),
  );
  const waiting = async () =>
    (await consumerInfo(first.broker.jsm, "EVENTS", consumerName("test", "slow")))?.num_waiting;
  const inFlight = () => second.pipeline.status()[0]?.inFlight ?? 0;
  await eventually(async () => inFlight() * pad.length > 16e6 && (await waiting()) === 0, {
    timeoutMs: 20_000,
  });
  const looksUntil = performance.now() + 8_000; // the first one would take over after four looks
  while (performance.now() < looksUntil) {
    assert.deepEqual([stateOf(first), stateOf(second)], [["standby"], ["running"]]);
    await sleep(200);
  }
  release();
  await eventually(() => second.facts.filter(({ kind }) => kind === "outcome").length === events, {
    timeoutMs: 20_000,
  });
  assert.deepEqual(stateOf(first), ["standby"]);
});

test("C1: looks that fall between two pulls are no silence, and the end of the pulls is", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  const { broker } = p;
  await produce(
    broker,
    Array.from({ length: 100 }, (_, n) => makeTestEvent(Large.type, `e${n}`, { pad: "" })),
  );
  const name = "busy";
  const ack_policy = AckPolicy.All;
  await ensureConsumer(broker.jsm, "EVENTS", { ...durable, durable_name: name, ack_policy });
  let pulling = true;
  // Each pull is answered at once, so that a look finds nobody who waits.
  const pull = async () => {
    const consumer = await broker.js.consumers.get("EVENTS", name);
    while (pulling) {
      await consumer.next({ expires: 1_000 });
      await sleep(100);
    }
  };
  const pulls = pull();
  let silent = false;
  const silence = untilNobodyPulls(
    broker,
    "EVENTS",
    name,
    () => sleep(150),
    () => false,
  ).then(() => {
    silent = true;
  });
  await sleep(2_000); // a dozen looks
  assert.equal(silent, false);
  pulling = false;
  await Promise.all([pulls, silence]);
});

test("C1: who was cut off for long stands by for whoever has taken over meanwhile", async () => {
  await using nats = await startNats();
  await using proxy = await startProxy(nats.port);
  await using first = await startTestPipeline({ ...nats, url: proxy.url });
  const idle = on(Large, () => {});
  await first.run({ idle });
  const stateOf = (p: typeof first) => p.pipeline.status()[0]?.state;
  proxy.set({ kind: "deaf" });
  const stalled = () =>
    first.facts.some((fact) => fact.kind === "trouble" && fact.code === "EDDY_HANDLER_STALLED");
  await eventually(stalled, { timeoutMs: 60_000, what: "that it tries to take over again" });
  await using second = await startTestPipeline(nats);
  await second.run({ idle });
  proxy.set({ kind: "open" });
  await eventually(() => stateOf(first) !== "starting", { timeoutMs: 30_000 });
  assert.deepEqual([stateOf(first), stateOf(second)], ["standby", "running"]);
});
