// A long backlog on a real server: with which filter it is read, and that nothing but the filter is another one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { eventually } from "../../tests/support/eventually.ts";
import { startNats } from "../../tests/support/nats.ts";
import { makeTestEvent, produce, startTestPipeline } from "../../tests/support/pipeline.ts";
import { event, on } from "../authoring/index.ts";
import { consumerInfo } from "../broker/index.ts";
import { consumerName } from "./ledger/place.ts";

const Wanted = event("com.acme.wanted", Type.Object({ n: Type.Integer() }));

/** So many wanted events, and so many others between them. */
async function backlogOf(wanted: number, others: number) {
  const nats = await startNats();
  const p = await startTestPipeline(nats);
  const all = Array.from({ length: wanted + others }, (_, n) => {
    const type = (n * wanted) % (wanted + others) < wanted ? Wanted.type : "com.acme.other";
    return makeTestEvent(type, `e${n}`, { n }, { subject: `k${n % 100}` });
  });
  for (let from = 0; from < all.length; from += 1_000) {
    await produce(p.broker, all.slice(from, from + 1_000));
  }
  const filter = async () => {
    const info = await consumerInfo(p.broker.jsm, "EVENTS", consumerName("test", "want"));
    return info?.config.filter_subject;
  };
  const dispose = async () => {
    await p.stop();
    await nats[Symbol.asyncDispose]();
  };
  return { p, filter, [Symbol.asyncDispose]: dispose };
}

test("U1: where most is wanted all of it comes, each event is handled once, and then the filter is back", async () => {
  await using backlog = await backlogOf(4_000, 1_000);
  const { p, filter } = backlog;
  const seen: number[] = [];
  let hold: (() => void) | undefined;
  const held = new Promise<void>((resolve) => {
    hold = resolve;
  });
  const want = on(Wanted, { start: "first" }, async ({ data }) => {
    seen.push(data.n);
    if (seen.length === 1) await held; // until somebody has looked at the filter
  });
  await p.run({ want });
  await eventually(() => seen.length > 0);
  assert.equal(await filter(), ">");
  hold?.();
  await eventually(async () => (await filter()) === "events.com.acme.wanted.*", {
    timeoutMs: 20_000,
  });
  const row = (await p.settled()).get("want");
  assert.deepEqual([row?.delivered, row?.handled, row?.lag], [4_000, 4_000, 0]);
  assert.equal(new Set(seen).size, 4_000);
});

test("U2: where most is of other types the server filters", async () => {
  await using backlog = await backlogOf(2_500, 4_000);
  const { p, filter } = backlog;
  let seen = 0;
  const want = on(Wanted, { start: "first" }, () => {
    seen++;
  });
  await p.run({ want });
  assert.equal(await filter(), "events.com.acme.wanted.*");
  const row = (await p.settled()).get("want");
  assert.deepEqual([row?.handled, seen], [2_500, 2_500]);
});
