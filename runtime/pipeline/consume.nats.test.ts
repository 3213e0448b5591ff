// Two instances of one app on a real server: who is taken for gone, and who is not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Type } from "typebox";
import { eventually } from "../../tests/support/eventually.ts";
import { startNats } from "../../tests/support/nats.ts";
import { makeTestEvent, produce, startTestPipeline } from "../../tests/support/pipeline.ts";
import { event, on } from "../authoring/index.ts";
import { consumerInfo } from "../broker/index.ts";
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
  await produce(
    first.broker,
    Array.from({ length: events }, (_, n) => makeTestEvent(Large.type, `e${n}`, { pad })),
  );
  await first.run({ slow });
  await using second = await startTestPipeline(nats);
  await second.run({ slow }); // it takes over, and the first one stands by
  const stateOf = (p: typeof first) => p.pipeline.status().map(({ state }) => state);
  await eventually(() => stateOf(first)[0] === "standby", { timeoutMs: 20_000 });
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
