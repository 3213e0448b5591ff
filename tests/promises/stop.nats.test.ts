import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { eventually } from "../support/eventually.ts";
import { assertOneEffectEach, countMessages, ofType } from "../support/log.ts";
import { countsOf, startWorld, type World } from "../support/world.ts";

// It waits until the file is there, so that the test decides what is in flight.
const relay = (go: string) => `
import { existsSync } from "node:fs";
import { event, on, Type } from "eddyline";
const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer() }));
const Noted = event("com.acme.order.noted", Type.Object({ n: Type.Integer() }));
export const relay = on(Placed, { emits: [Noted], start: "first", deadline: "1m" }, async ({ data }, ctx) => {
  ctx.log.info("begun " + data.n + ".");
  while (!existsSync(${JSON.stringify(go)})) await new Promise((resolve) => setTimeout(resolve, 20));
  ctx.emit(Noted, { n: data.n });
});
`;
const placed = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => ({
    id: `e${from + i}`,
    type: "com.acme.order.placed",
    data: { n: from + i },
  }));
const noted = "events.com.acme.order.noted.*";
const begunIn = (output: string) => new Set(output.match(/begun \d+\./g)).size;

async function consumerBirth(world: World): Promise<string> {
  const jsm = await jetstreamManager(world.nc);
  return (await jsm.consumers.info("EVENTS", "eddy==relay=2Erelay")).created;
}

async function startHeld() {
  const world = await startWorld({});
  const go = join(world.handlers, "../go");
  world.write("relay.ts", relay(go));
  return { world, go, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() };
}

test("SIGTERM: nothing new begins, what has begun finishes and is stored, the consumer is kept, and the next start suspects nobody", async () => {
  await using held = await startHeld();
  const { world, go } = held;
  const node = await world.start();
  await world.produce(placed(0, 400)); // more than there are lanes
  await eventually(() => begunIn(node.output()) === 256, { timeoutMs: 20_000 });
  const born = await consumerBirth(world);
  const stopped = node.stop();
  await eventually(() => node.output().includes("stopping: events in flight have"));
  await eventually(() =>
    fetch(`${node.url}/healthz`).then(
      () => false,
      () => true,
    ),
  ); // it drains
  writeFileSync(go, "");
  assert.equal(await stopped, 0);
  assert.equal(begunIn(node.output()), 256);
  assert.equal(await countMessages(world.nc, noted), 256);
  assert.equal(await consumerBirth(world), born);
  await using next = await world.start();
  assert.deepEqual(countsOf(await world.settled(), "relay.relay"), [400, 400, 0, 0]);
  assert.doesNotMatch(next.output(), /in flight when the runtime/);
});

test("SIGTERM: what does not finish within the drain is left alone, and handled after the next start; that is no crash", async () => {
  await using held = await startHeld();
  const { world, go } = held;
  const node = await world.start({ env: { EDDY_DRAIN: "300ms" } });
  await world.produce(placed(0, 5));
  await eventually(() => begunIn(node.output()) === 5, { timeoutMs: 20_000 });
  assert.equal(await node.stop(), 0);
  assert.equal(await countMessages(world.nc, noted), 0);
  writeFileSync(go, "");
  await using next = await world.start();
  assert.deepEqual(countsOf(await world.settled(), "relay.relay"), [5, 5, 0, 0]);
  assert.doesNotMatch(next.output(), /in flight when the runtime/);
});

test("after kill -9 the next start goes on at once with what was in flight, long before the ack wait is over", async () => {
  await using held = await startHeld();
  const { world, go } = held;
  const node = await world.start();
  await world.produce(placed(0, 400));
  await eventually(() => begunIn(node.output()) === 256, { timeoutMs: 20_000 });
  await node.kill();
  writeFileSync(go, "");
  const began = Date.now();
  await using next = await world.start();
  assert.deepEqual(countsOf(await world.settled(), "relay.relay"), [400, 400, 0, 0]);
  assert.ok(Date.now() - began < 30_000, "the ack wait is 60 s");
  assert.match(
    next.output(),
    /up to 400 events were in flight when the runtime \w+ ended without a stop/,
  );
  const log = await world.log();
  assertOneEffectEach(ofType(log, "com.acme.order.placed"), ofType(log, "com.acme.order.noted"));
});
