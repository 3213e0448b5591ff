import assert from "node:assert/strict";
import { test } from "node:test";
import { RetryAfter } from "../../authoring/index.ts";
import type { Fact } from "../facts.ts";
import { createStopping } from "../stopping.ts";
import { type Asking, sourceOf } from "./source.ts";

const tick = () => new Promise((resolve) => setImmediate(resolve));

function setUp(bounds: Partial<Asking["bounds"]> = {}) {
  const facts: Fact[] = [];
  const stopping = createStopping();
  const around = {
    report: (fact: Fact) => facts.push(fact),
    readEntry: async () => ({ value: 0 }),
    findEntries: async () => ({ entries: [] }),
    stopping,
  };
  const source = sourceOf(around);
  const asking = (waitMs = 5_000): Asking => ({
    handler: "h",
    bounds: { shareMs: 0, concurrency: 8, ...bounds },
    untilMs: performance.now() + waitMs,
    ending: stopping,
    failuresMax: 2,
  });
  return { facts, stopping, source, asking, around };
}

test("S1 S2: calls side by side are bounded, and begin in the order in which they were asked for", async () => {
  const { source, asking } = setUp({ concurrency: 2 });
  const order: number[] = [];
  let running = 0;
  let most = 0;
  const one = async (number: number) => {
    const call = await source.enter(asking());
    order.push(number);
    most = Math.max(most, ++running);
    await tick();
    running--;
    call?.answered();
  };
  await Promise.all([1, 2, 3, 4, 5].map(one));
  assert.deepEqual(order, [1, 2, 3, 4, 5]);
  assert.equal(most, 2);
});

test("S1: a call beyond the rate waits until it may begin", async () => {
  const { source, asking } = setUp({ rate: { limit: 1, perMs: 50 } });
  const began = performance.now();
  for (let call = 0; call < 3; call++) (await source.enter(asking()))?.answered();
  assert.ok(performance.now() - began >= 99);
});

test("S2: who waits leaves when his time is over, or the session is", async () => {
  const { source, asking, stopping } = setUp({ concurrency: 1 });
  const first = await source.enter(asking());
  assert.equal(await source.enter(asking(5)), undefined);
  const waiting = source.enter(asking());
  stopping.cutOff();
  assert.equal(await waiting, undefined);
  assert.equal(stopping.cuts.size, 0);
  first?.answered();
});

test("S3: a circuit that opens is said once, and once when the source answers again", async () => {
  const { source, asking, facts, around } = setUp();
  const calls = await Promise.all([1, 2, 3, 4].map(() => source.enter(asking())));
  for (const call of calls.slice(1)) call?.failed(new RetryAfter("2s", "not now"));
  assert.ok(source.isDown);
  assert.ok(source.opensAtMs > performance.now() + 1_900, "it has said until when to wait");
  assert.equal(await source.enter(asking(5)), undefined);
  assert.equal(sourceOf(around), source);
  calls[0]?.answered();
  assert.equal(source.isDown, false);
  assert.deepEqual(
    facts.map((fact) => fact.kind),
    ["trouble", "mended"],
  );
  (await source.enter(asking()))?.unused();
});
