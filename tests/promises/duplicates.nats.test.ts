import assert from "node:assert/strict";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { eventually } from "../support/eventually.ts";
import { assertOneEffectEach, countMessages, type LogEntry, ofType } from "../support/log.ts";
import { countsOf, startWorld } from "../support/world.ts";

const handlers = {
  "relay.ts": `
import { event, on, projection, Type } from "eddyline";
const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer() }));
const Noted = event("com.acme.order.noted", Type.Object({ n: Type.Integer() }));
export const relay = on(Placed, { emits: [Noted], start: "first" }, ({ data }, ctx) => ctx.emit(Noted, data));
export const sums = projection("sums", {
  from: [Placed],
  key: ({ data }) => String(data.n % 4),
  apply: (sum: { count: number } | undefined) => ({ count: (sum?.count ?? 0) + 1 }),
});
`,
};

const placed = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => ({
    id: `e${from + i}`,
    type: "com.acme.order.placed",
    subject: `order-${(from + i) % 20}`,
    data: { n: from + i },
  }));

/** A repeat has no effect: the effects' causes are the first of each identity. */
function assertEffectsOfFirsts(log: readonly LogEntry[]): void {
  const firsts = new Map(
    ofType(log, "com.acme.order.placed").map((entry) => [entry.attributes.id, entry]),
  );
  assertOneEffectEach([...firsts.values()], ofType(log, "com.acme.order.noted"));
}

async function sums(url: string): Promise<number[]> {
  const keys = ["0", "1", "2", "3"];
  const read = async (key: string) => {
    const entry = await fetch(`${url}/projections/sums/${key}`);
    return JSON.parse(await entry.text()).count;
  };
  return await Promise.all(keys.map(read));
}

test("P2: what a producer stores twice has one effect, within a run, across kill -9 and across a stop", async () => {
  await using world = await startWorld(handlers);
  const first = await world.start();
  await world.produce([...placed(0, 100), ...placed(50, 100)]);
  await eventually(
    async () => (await countMessages(world.nc, "events.com.acme.order.noted.*")) === 100,
  );
  await first.kill();
  await world.produce(placed(0, 30)); // repeats of before, stored while nobody runs
  const second = await world.start();
  await world.produce(placed(80, 120));
  await world.settled();
  assert.equal(await second.stop(), 0); // writes its block of the identity index
  await using third = await world.start();
  await world.produce([...placed(0, 120), ...placed(120, 124)]);
  const rows = await world.settled();
  const stored = 100 + 50 + 30 + 40 + 120 + 4;
  assert.deepEqual(countsOf(rows, "relay.relay"), [stored, 124, stored - 124, 0]);
  assert.deepEqual(countsOf(rows, "sums"), [stored, 124, stored - 124, 0]);
  assertEffectsOfFirsts(await world.log());
  assert.deepEqual(await sums(third.url), [31, 31, 31, 31]);
});

test("P2: what is sent again over HTTP after the server's own window is stored again and has no second effect", async () => {
  await using world = await startWorld(handlers);
  await using node = await world.start();
  const jsm = await jetstreamManager(world.nc);
  await jsm.streams.update("EVENTS", { duplicate_window: 100_000_000 }); // 100 ms, the smallest
  const send = async () => {
    const events = placed(0, 20).map((event) => ({
      specversion: "1.0",
      source: "/test",
      ...event,
    }));
    const response = await fetch(`${node.url}/events`, {
      method: "POST",
      headers: { "content-type": "application/cloudevents-batch+json" },
      body: JSON.stringify(events),
    });
    assert.equal(response.status, 202);
    const { events: stored } = (await response.json()) as { events: { duplicate: boolean }[] };
    return stored.filter(({ duplicate }) => !duplicate).length;
  };
  assert.equal(await send(), 20);
  await eventually(async () => (await send()) === 20, { what: "that the server forgets them" });
  const log = await eventually(async () => {
    await world.settled();
    return await world.log();
  });
  const stored = ofType(log, "com.acme.order.placed").length;
  assert.ok(stored >= 40);
  assertEffectsOfFirsts(log);
  const rows = await world.settled();
  assert.deepEqual(countsOf(rows, "relay.relay"), [stored, 20, stored - 20, 0]);
  assert.deepEqual(countsOf(rows, "sums"), [stored, 20, stored - 20, 0]);
  assert.deepEqual(await sums(node.url), [5, 5, 5, 5]);
});
